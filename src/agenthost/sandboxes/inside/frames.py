"""Frames: how the host and one of our processes at the other end of a byte stream talk, the same on both sides.

Many channels share the stream. A frame is a head of ten bytes (kind, lane, channel, length; network
order) and a body. Each side may send `WINDOW` bytes on a channel before the other grants more, so
that a slow channel holds up nobody else. No I/O here: `feed` takes what came, `take` gives what
must go out. Whatever the rules don't allow raises `Broken`, and the stream is given up.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable

HEAD = struct.Struct("!BBII")
OPEN, DATA, END, RESET, GRANT = 1, 2, 3, 4, 5
LONGEST = 65536
WINDOW = 256 * 1024
# Channels that one side may have open at once.
MOST_CHANNELS = 128
_GRANT = struct.Struct("!I")
_OWE = WINDOW // 4
# What opening a channel is to whoever hears of it, in frames.
_OPENING = 20


class Broken(Exception):
    """The other side doesn't keep to the rules."""


class Handler:
    """What becomes of a channel's frames."""

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        """Bytes came. `channel.grant` what is used up, then or later."""

    def ended(self, channel: Channel) -> None:
        """The other side sends no more data."""

    def reset(self, channel: Channel, reason: str) -> None:
        """The other side gave the channel up."""

    def ready(self, channel: Channel) -> None:
        """Everything that was to be sent on the channel is on its way."""


class Channel:
    """One of the streams within the stream. `number` is the same on both sides."""

    def __init__(self, mux: Mux, number: int, handler: Handler) -> None:
        self._mux = mux
        self.number = number
        self.handler = handler
        self.pending = 0
        self.closed = False
        self._may_send = WINDOW
        self._may_come = WINDOW
        self._owed = 0
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._ending = False
        self._out_ended = False
        self._in_ended = False

    def send(self, data: bytes, lane: int = 0) -> None:
        """Send as much as the other side allows; the rest waits, and is counted in `pending`."""
        if self.closed or self._ending:
            return
        for at in range(0, len(data), LONGEST):
            piece = data[at : at + LONGEST]
            self._waiting.append((lane, piece))
            self.pending += len(piece)
        self._flow()

    def end(self) -> None:
        """Nothing more will be sent."""
        if not self.closed and not self._ending:
            self._ending = True
            self._flow()

    def give_up(self, reason: str = "") -> None:
        """End both ways at once; the handler hears no more of it."""
        if not self.closed:
            self._mux.put(RESET, 0, self.number, reason.encode("utf-8", "replace")[:1024])
            self._close()

    def grant(self, size: int) -> None:
        """`size` bytes that came are used up, so that the other side may send as many more."""
        self._owed += size
        if self._owed >= _OWE and not self.closed and not self._in_ended:
            self._mux.put(GRANT, 0, self.number, _GRANT.pack(self._owed))
            self._may_come += self._owed
            self._owed = 0

    def _flow(self) -> None:
        while self._waiting and self._may_send:
            lane, piece = self._waiting.popleft()
            if len(piece) > self._may_send:
                self._waiting.appendleft((lane, piece[self._may_send :]))
                piece = piece[: self._may_send]
            self._may_send -= len(piece)
            self.pending -= len(piece)
            self._mux.put(DATA, lane, self.number, piece)
        if self._ending and not self._waiting and not self._out_ended:
            self._out_ended = True
            self._mux.put(END, 0, self.number, b"")
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._in_ended and self._out_ended:
            self._close()

    def _close(self) -> None:
        self.closed = True
        self._waiting.clear()
        self.pending = 0
        self._mux.forget(self)

    # --- what the other side sent ------------------------------------------------------------

    def take(self, kind: int, lane: int, body: bytes) -> None:
        if kind == DATA:
            if self._in_ended or len(body) > self._may_come:
                raise Broken("data beyond what was granted")
            self._may_come -= len(body)
            self.handler.data(self, lane, body)
        elif kind == END:
            if self._in_ended:
                raise Broken("a second end")
            self._in_ended = True
            self._close_if_done()
            self.handler.ended(self)
        elif kind == RESET:
            self._close()
            self.handler.reset(self, body[:1024].decode("utf-8", "replace"))
        elif kind == GRANT:
            if len(body) != _GRANT.size:
                raise Broken("a grant of another size")
            (size,) = _GRANT.unpack(body)
            if self._may_send + size > WINDOW:
                raise Broken("more granted than was sent")
            self._may_send += size
            self._flow()
            if not self.pending and not self.closed:
                self.handler.ready(self)
        else:
            raise Broken("an unknown kind of frame")


Opened = Callable[[Channel, bytes], Handler]


class Mux:
    """All channels of one stream. `first` is 1 for the host and 2 for the other side, so that their numbers differ.

    `opened` makes the handler of a channel that the other side opens.
    """

    def __init__(self, first: int, opened: Opened) -> None:
        self._next = first
        self._last_theirs = 1 - first
        self._opened = opened
        self._channels: dict[int, Channel] = {}
        self._theirs = 0
        self._held = bytearray()
        self._out: list[bytes] = []
        self.waiting = 0
        self.heard = 0
        """What the other side has had us do so far, in frames."""

    def open(self, body: bytes, handler: Handler) -> Channel:
        """Open a channel; `body` says what for, at most `LONGEST` bytes."""
        if len(body) > LONGEST:
            raise ValueError("too much for the first frame of a channel")
        channel = Channel(self, self._next, handler)
        self._next += 2
        self._channels[channel.number] = channel
        self.put(OPEN, 0, channel.number, body)
        return channel

    def put(self, kind: int, lane: int, number: int, body: bytes) -> None:
        self._out += (HEAD.pack(kind, lane, number, len(body)), body)
        self.waiting += HEAD.size + len(body)

    @property
    def ours(self) -> int:
        """How many channels this side has open."""
        return len(self._channels) - self._theirs

    def take(self) -> bytes:
        """What must go out now."""
        out = b"".join(self._out)
        self._out.clear()
        self.waiting = 0
        return out

    def forget(self, channel: Channel) -> None:
        if self._channels.pop(channel.number, None) is not None and channel.number % 2 != self._next % 2:
            self._theirs -= 1

    def drop(self, reason: str) -> None:
        """The stream is gone: every channel hears that it is given up."""
        for channel in list(self._channels.values()):
            channel.take(RESET, 0, reason.encode("utf-8", "replace"))

    def feed(self, data: bytes) -> None:
        """Take in what came. Raises Broken."""
        held = self._held
        held += data
        at = 0
        try:
            while len(held) - at >= HEAD.size:
                kind, lane, number, length = HEAD.unpack_from(held, at)
                if length > LONGEST:
                    raise Broken("a frame that is too long")
                if len(held) - at < HEAD.size + length:
                    break
                at += HEAD.size
                body = bytes(held[at : at + length])
                at += length
                self._frame(kind, lane, number, body)
        finally:
            del held[:at]

    def _frame(self, kind: int, lane: int, number: int, body: bytes) -> None:
        if not number or kind not in (OPEN, DATA, END, RESET, GRANT):
            raise Broken("no frame of ours")
        self.heard += _OPENING if kind == OPEN else 1
        channel = self._channels.get(number)
        if channel is not None:
            channel.take(kind, lane, body)
        elif kind == OPEN:
            self._theirs_opened(number, body)
        elif number > self._last_theirs if number % 2 != self._next % 2 else number >= self._next:
            raise Broken("a frame for a channel that was never opened")
        # else it was closed here while the frame was on its way

    def _theirs_opened(self, number: int, body: bytes) -> None:
        if number % 2 == self._next % 2 or number <= self._last_theirs:
            raise Broken("a channel's number is not its own")
        if self._theirs >= MOST_CHANNELS:
            raise Broken("too many channels")
        self._last_theirs = number
        self._theirs += 1
        channel = Channel(self, number, Handler())
        self._channels[number] = channel
        channel.handler = self._opened(channel, body)
