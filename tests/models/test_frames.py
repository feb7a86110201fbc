"""Words that stand in the same frame, event after event, are read without a decoder: what comes out is the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.models import Delta
from agenthost.models.openai.chat import ChatReader
from agenthost.models.openai.sse import Frame, Parser
from agenthost.models.openai.wire import BadAnswer

WORDS = st.text(st.characters(codec="utf-8"), min_size=0, max_size=8) | st.sampled_from(
    [" a", 'a"b', "\\", "\n", "é", "{}"]
)


def event(text: str, ascii: bool = False, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"id": "1", "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(chunk, ensure_ascii=ascii).encode() + b"\n\n"


END = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def read(stream: bytes, cuts: list[int], framed: bool = True) -> tuple[str, str, int]:
    """The answer's words, what was told of them, and how often events were taken together by a frame."""
    told: list[Delta] = []
    reader, parser, together = ChatReader(told.append, {}), Parser(), 0
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events = parser.feed(stream[start:end], reader.frame if framed else None)
        together += sum(event.words is not None for event in events)
        reader.feed(events)
    return reader.answer().text, "".join(delta.text for delta in told), together


@given(st.lists(WORDS, min_size=1), st.booleans(), st.lists(st.integers(0, 10_000)), st.integers(1, 5))
def test_an_answer_is_the_same_however_it_is_cut(texts: list[str], ascii: bool, cuts: list[int], change: int) -> None:
    stream = b"".join(event(text, ascii, created=number // change) for number, text in enumerate(texts)) + END
    at = sorted({cut % len(stream) for cut in cuts})
    said, told, _ = read(stream, at)
    assert (said, told) == ("".join(texts), "".join(texts))
    assert (said, told) == read(stream, at, framed=False)[:2]


def test_most_of_a_long_stream_needs_no_decoder() -> None:
    stream = b"".join(event(f" {number}") for number in range(1000)) + END
    cut = len(event(" 1")) * 5
    assert read(stream, [cut])[2] == 1
    assert read(stream, [cut, cut + 50, cut + 20_000])[2] == 2


@pytest.mark.parametrize(
    "more",
    [
        {"usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"choices": [{"delta": {"content": "a", "reasoning_content": "b"}}]},
        {"choices": [{"delta": {"content": "a", "refusal": "b"}}]},
        {"choices": [{"delta": {"content": "a", "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}}]},
        {"choices": [{"delta": {"content": [{"type": "text", "text": "a"}]}}]},
        {"choices": [{"delta": {"content": "a"}, "finish_reason": "length"}]},
    ],
)
def test_an_event_that_says_more_than_words_is_no_frame(more: dict[str, Any]) -> None:
    reader = ChatReader(lambda delta: None, {})
    reader.feed(Parser().feed(event("a") + event("a", **more)))
    assert reader.frame is None


def test_words_that_stand_elsewhere_too_are_not_taken_for_the_answer() -> None:
    def twice(text: str, shown: str) -> bytes:
        choice = b'{"delta":{"content":"' + shown.encode() + b'"},"finish_reason":null}'
        return b'data: {"choices":[' + choice + b'],"echo":{"content":"' + text.encode() + b'"}}\n\n'

    stream = b"".join(twice("a", "\\u0061") for _ in range(4)) + b"".join(twice("b", "\\u0061") for _ in range(4)) + END
    cut = len(twice("a", "\\u0061")) * 4
    assert read(stream, [cut]) == ("aaaaaaaa", "aaaaaaaa", 0)


def test_a_character_that_json_forbids_is_left_to_the_decoder() -> None:
    frame = Frame(b'{"choices":[{"delta":{"content":"', b'"}}]}')
    bad = b'data: {"choices":[{"delta":{"content":"a\tb"}}]}\n\n'
    assert frame.words(bad) is None
    reader = ChatReader(lambda delta: None, {})
    with pytest.raises(BadAnswer):
        reader.feed(Parser().feed(bad, frame))


def test_an_event_of_another_frame_between_is_seen() -> None:
    other = b'data: {"id":"1","model":"m","choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'
    tokens = b"".join(event(f"{number},") for number in range(9))
    stream = tokens + tokens + other + tokens + END
    said, told, _ = read(stream, [len(tokens)])
    assert said == told == "0,1,2,3,4,5,6,7,8," * 3
