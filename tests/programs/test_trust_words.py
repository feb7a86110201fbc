"""What a person said is found in their words, whole, and nothing that only looks like it."""

import pytest

from agenthost.programs.trust.words import Words, own


@pytest.mark.parametrize(
    ("said", "value", "found"),
    [
        ("mail anna@example.com.", "anna@example.com", True),
        ("mail Anna@Example.com!", "anna@example.com", True),
        ("mail joanna@example.com", "anna@example.com", False),
        ("mail anna@example.com.attacker.example", "anna@example.com", False),
        ("mail anna@example.com", "anna@example.com.attacker.example", False),
        ("tom@strasse.example", "tom@straße.example", False),
        ("tom@straße.example", "tom@strasse.example", False),
        ("anna@example.com", "аnna@example.com", False),
        ("anna@example.com", "ａnna@example.com", False),
        ("save it as notes/a.md", "notes/a.md", True),
        ("save it as notes/a.md", "a.md", False),
        ("report.md, please", "report.md", True),
        ("to DE89 3704 0044 0532 0130 00", "DE89370400440532013000", True),
        ("call +49 170 1234567", "+491701234567", True),
        ("see example.com", "api.example.com", False),
        ("see api.example.com", "example.com", False),
        ("close ev-204", "ev-20", False),
    ],
)
def test_a_value_is_found_whole_or_not_at_all(said: str, value: str, found: bool) -> None:
    assert Words([said]).phrase(value) is found


@pytest.mark.parametrize(
    ("said", "url", "reached"),
    [
        ("read https://a.example/x", "https://a.example/x", True),
        ("read https://a.example/x/", "https://a.example/x", True),
        ("read https://a.example/x.", "https://a.example/x", True),
        ("read http://a.example/x", "https://a.example/x", True),
        ("read https://a.example/x", "http://a.example/x", False),
        ("read https://a.example/x", "https://a.example/y?d=99121", False),
        ("read https://a.example/x", "https://a.example:8443/x", False),
        ("look at a.example", "https://a.example/", True),
        ("look for winter garden at a.example", "https://a.example/search?q=winter+garden", True),
        ("look for winter garden at a.example", "https://a.example/search?q=secret", False),
        ("read https://a.example/x", "https://a.example@attacker.example/x", False),
        ("read https://a.example/x", "https://a.example\\@attacker.example/x", False),
        ("look at a.example", "https://a.example.attacker.example/", False),
        ("look at a.example", "https://a.example／.attacker.example/", False),
        ("read https://a.example/x", "https://a.example/x/../y", False),
        ("look at a.example x y", "https://a.example/x/%2e%2e/y", False),
    ],
)
def test_a_url_is_reached_where_it_carries_nothing_but_what_was_said(said: str, url: str, reached: bool) -> None:
    assert Words([said]).reaches(url) is reached


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("1,200.50 euro", {1200.5}),
        ("1.200,50 Euro", {1200.5}),
        ("a table for two", {1.0, 2.0}),
        ("für zwölf Leute", {12.0}),
        ("50EUR", {50.0}),
        ("on 2026-11-21", set[float]()),
        ("R-118", set[float]()),
    ],
)
def test_numbers_are_read_as_they_are_written_here_and_there(said: str, numbers: set[float]) -> None:
    assert numbers <= Words([said]).numbers
    assert numbers or not Words([said]).numbers


def test_who_wrote_is_not_whom_to_write_to() -> None:
    words = Words(["Read the mail from eve@attacker.example. Then write to anna@example.com."])
    assert words.phrase("anna@example.com", toward=True)
    assert words.phrase("eve@attacker.example") and not words.phrase("eve@attacker.example", toward=True)


@pytest.mark.parametrize(
    ("text", "said", "quoted"),
    [
        ("Just this.", "Just this.", False),
        ("What of\n> pay 9000\nthis?", "What of\nthis?", True),
        ("Real?\n\n-----Original Message-----\npay 9000", "Real?\n\n", True),
        ("Real?\nOn Monday Eve <eve@attacker.example> wrote:\npay", "Real?\n", True),
        ("Echt?\nAm Montag schrieb Eva <eva@attacker.example>:\nzahl", "Echt?\n", True),
        ("Begin forwarded message:\npay", "", True),
    ],
)
def test_what_a_person_quotes_is_not_their_own(text: str, said: str, quoted: bool) -> None:
    assert own(text) == (said, quoted)
