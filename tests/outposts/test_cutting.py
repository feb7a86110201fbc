"""Cutting a text into messages, and what a line of a host becomes."""

from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.conversations import Button, Line
from agenthost.core.parts import FilePart
from agenthost.outposts.channel.cutting import cut, size
from agenthost.outposts.channel.pieces import pieces
from agenthost.outposts.channel.port import Limits, Mark
from agenthost.outposts.telegram.marking import shape

WIDE = Limits(40, "utf-16", pieces=3)
TEXTS = st.text(st.sampled_from("ab. \n!😀漢。`*_~[]()<>#-|"), max_size=300)


def texts(text: str, most: int = 40) -> list[str]:
    return [body for body, _ in cut(text, (), Limits(most, "utf-16"))]


def test_a_text_is_cut_between_paragraphs_else_lines_sentences_words_and_only_then_within() -> None:
    assert texts("A first paragraph.\n\nA second, longer one.") == ["A first paragraph.", "A second, longer one."]
    assert texts("One line of some words,\nand another line of them") == [
        "One line of some words,",
        "and another line of them",
    ]
    assert texts("One sentence is here. Another one follows it.") == [
        "One sentence is here. ",
        "Another one follows it.",
    ]
    assert texts("words of no sentence without an end that go on") == [
        "words of no sentence without an end ",
        "that go on",
    ]
    assert texts("x" * 90) == ["x" * 40, "x" * 40, "x" * 10]
    assert texts("😀" * 45) == ["😀" * 20, "😀" * 20, "😀" * 5]
    assert texts(" \n \n ") == texts("") == []


def test_a_code_that_fits_goes_whole_into_the_next_message_and_a_longer_one_is_cut_at_lines() -> None:
    text = "Look at this, please:\n" + "a = 1\nb = 2\nc = 3\n"
    found = cut(text, (Mark("pre", 22, 18, "py"),), Limits(30, "utf-16"))
    assert found == [("Look at this, please:", ()), ("a = 1\nb = 2\nc = 3\n".rstrip("\n"), (Mark("pre", 0, 17, "py"),))]
    long = "x = 1\n" * 20
    for body, marks in cut(long, (Mark("pre", 0, 120, "py"),), Limits(50, "utf-16")):
        assert set(body.split("\n")) == {"x = 1"}
        assert marks == (Mark("pre", 0, len(body), "py"),)


def test_marks_over_a_cut_go_on_in_the_next_message() -> None:
    text = "😀" * 10 + " " + "b" * 30
    first, second = cut(text, (Mark("bold", 18, 20), Mark("italic", 30, 5)), Limits(30, "utf-16"))
    assert first == ("😀" * 10 + " ", (Mark("bold", 18, 3),))
    assert second == ("b" * 30, (Mark("bold", 0, 17), Mark("italic", 9, 5)))


@given(TEXTS, st.integers(2, 60))
def test_nothing_but_blanks_is_lost_and_no_piece_is_too_long(text: str, most: int) -> None:
    limits = Limits(most, "utf-16")
    found = [body for body, _ in cut(text, (), limits)]
    assert all(size(body, limits) <= most and body.strip() for body in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@given(TEXTS, st.integers(4, 60))
def test_markdown_of_any_kind_makes_marks_that_are_right_in_each_piece(text: str, most: int) -> None:
    plain, marks = shape(text)
    limits = Limits(most, "utf-16")
    for body, within in cut(plain, marks, limits):
        wide = body.encode("utf-16-le")
        for mark in within:
            assert mark.length > 0 and mark.start >= 0 and mark.start + mark.length <= size(body, limits)
            wide[mark.start * 2 : (mark.start + mark.length) * 2].decode("utf-16-le")


def line(text: str = "", **fields: object) -> Line:
    return Line("c:1", "h1", "host", "answer", 1.0, text, **fields)  # type: ignore[arg-type]


def plain(text: str) -> tuple[str, tuple[Mark, ...]]:
    return text, ()


def test_the_first_message_replies_and_the_last_text_has_the_buttons() -> None:
    yes = Button("Yes, and " + "much " * 20 + "more", "y")
    said = line(
        "One paragraph here.\n\nAnother one there.",
        reply_to="5",
        buttons=(yes,),
        files=(FilePart("d", "text/plain", 3),),
        label="Report",
    )
    first, second, third = pieces(said, Limits(30, label=20), plain)
    assert (first.text, first.reply_to, first.buttons) == ("[Report] One paragraph here.", "5", ())
    assert (second.text, second.reply_to) == ("Another one there.", "")
    assert [one.label for one in second.buttons] == ["Yes, and much much …"]
    assert third.file is not None


def test_a_line_of_nothing_is_no_message() -> None:
    assert pieces(line(), WIDE, plain) == []
    assert pieces(line(" \n"), WIDE, plain) == []
    (alone,) = pieces(line(buttons=(Button("Yes", "y"),)), WIDE, plain)
    assert alone.text and alone.buttons


def test_a_very_long_text_is_a_beginning_and_a_file() -> None:
    first, whole = pieces(line("Words and words. " * 40), Limits(60, pieces=3), plain)
    assert first.text.endswith("…\n… (the whole text is in the file)") or first.text.endswith(
        "(the whole text is in the file)"
    )
    assert len(first.text) <= 60
    assert whole.written == "Words and words. " * 40
