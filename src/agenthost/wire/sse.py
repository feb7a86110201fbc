"""Server-sent events (WHATWG HTML, section 9.2), written and read."""

from typing import Annotated

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput, Permanent

RECORDED = "recorded"
PLACED = "placed"
DELTA = "delta"
LINE = "line"
SAID = "said"
FITNESS = "fitness"
END = "end"
PROBLEM = "problem"
HEARTBEAT = b": alive\n\n"

MOST = 64 * 1024 * 1024
"""Bytes that one frame may have before a reader gives it up."""


Seq = Annotated[int, msgspec.Meta(ge=0)]


class Frame(Struct, frozen=True):
    """One event of a stream; `data` is one line of JSON."""

    event: str
    data: bytes
    id: str = ""


def encode_frame(event: str, data: bytes, id: bytes = b"") -> bytes:
    """A frame as bytes. `data` must have no line break (JSON as msgspec writes it has none)."""
    head = b"id: " + id + b"\n" if id else b""
    return head + b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


class Reader:
    """Puts a stream's frames together from pieces of any size. Comments are left out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0
        self._half = b""

    def feed(self, piece: bytes) -> list[Frame]:
        """The frames that `piece` completes. Raises Permanent where one grows beyond MOST bytes."""
        piece = self._half + piece
        # A line may end with CR LF, LF or CR; whether a CR at the end of a piece is half an end is not known yet.
        self._half = b"\r" if piece.endswith(b"\r") else b""
        self._buffer += piece.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        frames: list[Frame] = []
        while (end := self._buffer.find(b"\n\n", self._seen)) >= 0:
            frame = _frame(bytes(self._buffer[:end]))
            del self._buffer[: end + 2]
            self._seen = 0
            if frame is not None:
                frames.append(frame)
        self._seen = max(0, len(self._buffer) - 1)
        if len(self._buffer) > MOST:
            raise Permanent(f"the host sent an event of more than {MOST} bytes", code="bad-answer")
        return frames


def _frame(text: bytes) -> Frame | None:
    event, id, data = "message", "", list[bytes]()
    for line in text.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            event = value.decode(errors="replace")
        elif name == b"id":
            id = value.decode(errors="replace")
        elif name == b"data":
            data.append(value)
    return Frame(event, b"\n".join(data), id) if data else None


def encode_after(after: dict[str, int]) -> bytes:
    """Last-Event-ID of a tree: a JSON map from task id to the last sequence number seen there.

    Each journal has its own numbers, so that one number can't name a place in a tree.
    """
    return msgspec.json.encode(after)


def decode_after(task: str, text: str) -> dict[str, int]:
    """What a Last-Event-ID says: a map, or a plain number for the task alone. Raises BadInput."""
    text = text.strip()
    if not text:
        return {}
    try:
        value = msgspec.json.decode(text.encode(errors="replace"), type=Seq | dict[str, Seq])
    except msgspec.DecodeError as error:
        raise BadInput(
            'Last-Event-ID must be the id of an event of this stream: a number or a JSON map such as {"TASK": 12}'
        ) from error
    return {task: value} if isinstance(value, int) else value
