"""Server-sent events mean the same wherever they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.models.openai import sse
from agenthost.models.openai.sse import Event, Parser

STREAM = (
    b"\xef\xbb\xbfdata: {\"a\": 1}\n\n"
    b": a comment\r\n\r\n"
    b"event: response.done\r\ndata:two\r\ndata:  lines\r\n\r\n"
    b"id: 7\rretry: 10\rdata: caf\xc3\xa9\r\r"
    b"event: nothing\n\n"
    b"data\n\n"
    b"data: [DONE]\n\n"
)  # fmt: skip
EVENTS = [
    Event(b"", b'{"a": 1}'),
    Event(b"response.done", b"two\n lines"),
    Event(b"", "café".encode()),
    Event(b"", b"[DONE]"),
]


def parsed(chunks: list[bytes]) -> list[Event]:
    parser = Parser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.close()


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_cut_at_any_byte_changes_nothing(at: int) -> None:
    assert parsed([STREAM[:at], STREAM[at:]]) == EVENTS


def test_byte_by_byte_changes_nothing() -> None:
    assert parsed([STREAM[at : at + 1] for at in range(len(STREAM))]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_many_cuts_change_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert parsed([STREAM[a:b] for a, b in zip(places, places[1:], strict=False)]) == EVENTS


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=6),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.data(),
)
def test_what_is_written_is_read_with_every_kind_of_line_end(texts: list[str], end: str, data: st.DataObject) -> None:
    stream = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    at = data.draw(st.integers(0, len(stream)))
    assert parsed([stream[:at], stream[at:]]) == [Event(b"", text.encode()) for text in texts]


def test_the_last_event_needs_no_blank_line() -> None:
    assert parsed([b"data: [DONE]"]) == [Event(b"", b"[DONE]")]


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_BYTES", 1000)
    parser = Parser()
    with pytest.raises(ValueError, match="too large"):
        for _ in range(100):
            parser.feed(b"data: " + b"x" * 100 + b"\n")
