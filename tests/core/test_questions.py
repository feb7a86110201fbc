"""Who may answer, how long it is waited for, and how a question is shown."""

import pytest

from agenthost.core.commands import Ask
from agenthost.core.questions import agrees, cut, ends, for_good, may_answer, readable, shown, terms_of, who


@pytest.mark.parametrize(
    ("by", "person", "role", "may"),
    [
        (("requester",), "ann", "user", True),
        (("requester",), "bob", "user", False),
        (("requester",), "olga", "owner", False),
        (("owner",), "olga", "owner", True),
        (("owner",), "otto", "operator", False),
        (("role:operator",), "otto", "operator", True),
        (("role:operator",), "operator", "user", False),
        (("bob", "role:owner"), "bob", "read-only", True),
        (("bob", "role:owner"), "olga", "owner", True),
        (("bob",), "ann", "user", False),
        ((), "ann", "user", False),
    ],
)
def test_who_may_answer(by: tuple[str, ...], person: str, role: str, may: bool) -> None:
    assert may_answer(by, person, role, "ann") is may


def test_those_who_may_are_named() -> None:
    assert who(("requester", "owner", "role:operator", "bob"), "ann") == (
        "whoever gave the work (ann) or an owner or anybody of the role operator or 'bob'"
    )


def test_a_limit_counts_from_when_it_was_asked() -> None:
    ask = Ask("q", "approval", "?", default="deny", expires=60.0)
    assert ends(ask, 100.0) == 160.0
    assert terms_of(ask, 0.0) == "Without an answer within 60 s it ends: 'deny'."
    assert terms_of(ask, 40.0) == "Without an answer by 1970-01-01 00:01 UTC it ends: 'deny'."
    assert ends(Ask("q", "input", "?"), 100.0) == 0.0
    assert terms_of(Ask("q", "input", "?"), 100.0) == ""
    assert (
        terms_of(Ask("q", "input", "?", expires=1.0)) == "Without an answer within 1 s it ends: that nobody answered."
    )


def test_a_yes_is_a_yes_and_everything_else_a_no() -> None:
    assert all(map(agrees, ("approve", " Yes ", "approve always", "always")))
    assert not any(map(agrees, ("", "deny", "yes, but not that", "approve it")))
    assert for_good(" Approve Always ") and not for_good("approve")


def test_arguments_are_shown_a_line_each() -> None:
    assert readable({"to": "bob", "text": "a\nb"}) == '{\n  "to": "bob",\n  "text": "a\\nb"\n}'


def test_a_long_question_is_cut_in_its_middle_and_says_how_much_is_missing() -> None:
    text = "".join(f"{number:05}" for number in range(4000))
    told = shown("t1", Ask("q", "approval", text))
    assert len(told) < 6300
    assert told.startswith(text[:4500]) and told.endswith(text[-1500:])
    assert "[... 14,000 characters are left out here" in told
    assert "agenthost tasks show t1 --json" in told
    assert cut(text, 30_000) == text
    assert cut("x" * 6100) == "x" * 6100


def test_nothing_in_the_arguments_hides_or_turns_what_stands_beside_it() -> None:
    shown = readable({"to": "\u202egro.elpmaxe@bob", "cc": "a\u200bb\u2028c \U000e0041", "text": "schön 好 👍"})
    assert '"\\u202egro.elpmaxe@bob"' in shown and '"a\\u200bb\\u2028c \\udb40\\udc41"' in shown
    assert "schön 好 👍" in shown
