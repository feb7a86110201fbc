"""Records: JSON heads, each followed by as many bytes of content as its `size` says, in one lane of a channel."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from agenthost.sandboxes.inside.frames import Broken

_LENGTH = struct.Struct("!I")


def pack(head: dict[str, Any]) -> bytes:
    """A head as bytes. What follows it in the lane is its content."""
    body = json.dumps(head).encode("ascii")
    return _LENGTH.pack(len(body)) + body


class Reader:
    """Takes records apart as they come: `head` for each head, `content` for each piece, `done` after the last piece.

    `longest` bounds a head, in bytes. Raises Broken.
    """

    def __init__(
        self,
        longest: int,
        head: Callable[[dict[str, Any]], None],
        content: Callable[[bytes], None],
        done: Callable[[], None],
    ) -> None:
        self._longest = longest
        self._head, self._content, self._done = head, content, done
        self._held = bytearray()
        self._left = -1

    @property
    def between(self) -> bool:
        """Whether the last record is complete."""
        return not self._held and self._left < 0

    def feed(self, data: bytes) -> None:
        self._held += data
        while self._step():
            pass

    def _step(self) -> bool:
        if self._left >= 0:
            piece = bytes(self._held[: self._left])
            del self._held[: len(piece)]
            self._left -= len(piece)
            if piece:
                self._content(piece)
            if self._left > 0:
                return False
            self._left = -1
            self._done()
            return True
        if len(self._held) < _LENGTH.size:
            return False
        (length,) = _LENGTH.unpack_from(self._held)
        if length > self._longest:
            raise Broken("a record's head is too long")
        if len(self._held) < _LENGTH.size + length:
            return False
        head = _parsed(bytes(self._held[_LENGTH.size : _LENGTH.size + length]))
        del self._held[: _LENGTH.size + length]
        size: object = head.get("size")
        if size is not None:
            if not isinstance(size, int) or size < 0:
                raise Broken("a record's size is no size")
            self._left = size
        self._head(head)
        return True


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        head = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise Broken("a record's head is no JSON") from problem
    if not isinstance(head, dict):
        raise Broken("a record's head is no object")
    return head  # pyright: ignore[reportUnknownVariableType]
