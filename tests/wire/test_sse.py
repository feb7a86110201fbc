"""Server-sent events: what one end writes the other reads, however the bytes are cut."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.errors import BadInput, Permanent
from agenthost.wire import sse
from agenthost.wire.sse import Frame, Reader, decode_after, encode_after, encode_frame

# JSON as it is written, with whatever is in its strings.
values = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ids = st.text('0123456789abcdef{}:",', max_size=20)
frames = st.lists(st.tuples(st.sampled_from(["recorded", "delta", "end", "problem"]), values, ids), max_size=6)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[begin:end] for begin, end in zip(at, at[1:], strict=False)]


@given(frames, st.lists(st.integers(0, 10_000), max_size=30), st.booleans(), st.booleans())
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(
    written: list[tuple[str, object, str]], places: list[int], heartbeats: bool, carriage: bool
) -> None:
    text = b""
    for event, value, id in written:
        text += encode_frame(event, msgspec.json.encode(value), id.encode())
        text += sse.HEARTBEAT if heartbeats else b""
    if carriage:
        text = text.replace(b"\n", b"\r\n")
    reader = Reader()
    read = [frame for piece in cut(text, places) for frame in reader.feed(piece)]
    assert [(frame.event, json.loads(frame.data), frame.id) for frame in read] == [tuple(each) for each in written]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_anything_at_all_is_read_alike_however_it_is_cut(text: bytes, places: list[int]) -> None:
    def read(pieces: list[bytes]) -> list[Frame] | str:
        reader = Reader()
        try:
            return [frame for piece in pieces for frame in reader.feed(piece)]
        except Permanent as error:
            return error.code

    whole = read([text])
    assert isinstance(read(cut(text, places)), type(whole))
    if isinstance(whole, list):
        assert read(cut(text, places)) == whole


def test_comments_are_left_out_and_a_frame_without_data_is_none() -> None:
    reader = Reader()
    assert reader.feed(b": alive\n\nevent: end\n\nid: 7\n\n") == []
    assert reader.feed(b"event: end\ndata: {}\n\n") == [Frame("end", b"{}")]


def test_data_of_several_lines_is_joined_and_an_event_without_name_is_a_message() -> None:
    assert Reader().feed(b"data: a\ndata:b\n\n") == [Frame("message", b"a\nb")]


def test_a_frame_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST", 1000)
    reader = Reader()
    reader.feed(b"data: " + b"x" * 900)
    with pytest.raises(Permanent, match="more than 1000 bytes"):
        reader.feed(b"x" * 200)


@given(st.dictionaries(st.text("0123456789abcdefgh.-", min_size=1), st.integers(0, 2**53), max_size=5))
def test_a_place_in_a_tree_comes_back_from_last_event_id(after: dict[str, int]) -> None:
    assert decode_after("task", encode_after(after).decode()) == after


def test_a_plain_number_is_a_place_in_the_task_itself() -> None:
    assert decode_after("task", " 12 ") == {"task": 12}
    assert decode_after("task", "") == {}


@pytest.mark.parametrize("text", ["nonsense", "[1]", '{"a": "b"}', "1.5", "null", '{"a": -1}', "-3"])
def test_anything_else_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="Last-Event-ID"):
        decode_after("task", text)
