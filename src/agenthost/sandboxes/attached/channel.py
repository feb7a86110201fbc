"""The host's end of the stream into a room: frames in and out, and channels that can be awaited."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from agenthost.sandboxes.inside.frames import WINDOW, Broken, Channel, Handler, Mux

# Beyond this many bytes that the room hasn't taken, whoever writes waits.
_HIGH = 1 << 20
# More than all channels' windows together: a room that lets so much lie never reads.
_MOST_UNSENT = 64 << 20
# Frames a second that a room is heard, a fifth of a core at most, and how many at once before that counts. An opening is 20.
_RATE = 20_000.0
_AT_ONCE = 40_000.0
_LONGEST_PAUSE = 1.0
# Frames that a room may still send when nothing is wanted of it: what was on its way.
_LAST_WORDS = 10_000


class Line(Protocol):
    """A byte stream into a container, by callbacks on the loop."""

    def start(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """Begin to hand over what comes; `lost` is called once, with the reason where there is one to tell."""
        ...

    def write(self, data: bytes) -> None:
        """Send; never blocks."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        ...

    async def drain(self) -> None:
        """Wait until fewer bytes wait. Raises OSError where the stream is gone."""
        ...

    def hold(self, held: bool) -> None:
        """Read no more, or go on; a little of what was read may still come."""
        ...

    def close(self) -> None:
        """Hang up. The process at the other end takes that as its end."""
        ...


class Link:
    """One stream. `opened` is called for each channel that the room opens, and gives its handler.

    Whatever breaks the rules ends the link; `ended` is then done and holds why.
    """

    def __init__(self, line: Line, opened: Callable[[Channel, bytes], Handler]) -> None:
        self._line = line
        self._mux = Mux(1, opened)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._budget, self._counted = _AT_ONCE, time.monotonic()
        self._held = False
        self._users = 0
        self._last_words = _LAST_WORDS

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Something is wanted of the room meanwhile. Else one that goes on talking is hung up on."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._last_words = _LAST_WORDS

    def start(self) -> None:
        self._line.start(self._received, self.end)

    @property
    def alive(self) -> bool:
        return not self.ended.done()

    def open(self, body: bytes, handler: Handler) -> Channel:
        """Open a channel. On a link that has ended the handler hears of a reset at once."""
        channel = self._mux.open(body, handler)
        if not self.alive:
            channel.take(4, 0, self.ended.result().encode())
        self.flush()
        return channel

    def flush(self) -> None:
        """Send what is to be sent."""
        data = self._mux.take()
        if data and self.alive:
            self._line.write(data)
            if self._line.unsent > _MOST_UNSENT:
                self.end("the room doesn't take what it is sent")

    async def drain(self) -> None:
        """Let the room catch up. Raises OSError where it is gone."""
        if self._line.unsent > _HIGH:
            await self._line.drain()

    def _received(self, data: bytes) -> None:
        if not self.alive:
            return
        before = self._mux.heard
        try:
            self._mux.feed(data)
        except Broken as problem:
            self.end(f"the room broke the protocol: {problem}")
            return
        self.flush()
        self._count(self._mux.heard - before)

    def _count(self, frames: int) -> None:
        """Whoever sends frames faster than is good for the host isn't read for a while."""
        if not self._users:
            self._last_words -= frames
            if self._last_words < 0:
                self.end("the room talks though nothing is wanted of it")
                return
        now = time.monotonic()
        self._budget = min(self._budget + (now - self._counted) * _RATE, _AT_ONCE) - frames
        self._counted = now
        if self._budget < 0 and not self._held and self.alive:
            self._held = True
            self._line.hold(True)
            pause = min(-self._budget / _RATE + 0.05, _LONGEST_PAUSE)
            asyncio.get_running_loop().call_later(pause, self._go_on)

    def _go_on(self) -> None:
        self._held = False
        self._line.hold(False)

    def end(self, why: str = "") -> None:
        """Hang up; every channel hears of it."""
        if self.alive:
            self.ended.set_result(why or "the room is gone")
            self._line.close()
            self._mux.drop(self.ended.result())


class Pipe(Handler):
    """A channel that is awaited: a `core.ports.Connection`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.channel: Channel | None = None
        self._held = bytearray()
        self._over = False
        self._broken: str | None = None
        self._changed = asyncio.Event()

    # --- from the room -----------------------------------------------------------------------

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        self._held += body
        self._changed.set()

    def ended(self, channel: Channel) -> None:
        self._over = True
        self._changed.set()

    def reset(self, channel: Channel, reason: str) -> None:
        self._broken = reason or "closed"
        self._changed.set()

    def ready(self, channel: Channel) -> None:
        self._changed.set()

    # --- for whoever uses it -----------------------------------------------------------------

    async def read(self, most: int = 65536) -> bytes:
        """What has come, at least one byte; empty at the end. Raises ConnectionResetError where it broke."""
        while not self._held and not self._over:
            if self._broken is not None:
                raise ConnectionResetError(f"the connection into the sandbox broke ({self._broken})")
            await self._wait()
        piece = bytes(self._held[:most])
        del self._held[: len(piece)]
        if self.channel is not None and not self.channel.closed:
            self.channel.grant(len(piece))
            self._link.flush()
        return piece

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other side doesn't take it. Raises ConnectionResetError, BrokenPipeError."""
        channel = self.channel
        for at in range(0, len(data), WINDOW):
            if self._broken is not None or channel is None:
                raise ConnectionResetError(f"the connection into the sandbox broke ({self._broken})")
            if channel.closed:
                raise BrokenPipeError("the connection into the sandbox is closed")
            channel.send(data[at : at + WINDOW])
            self._link.flush()
            while channel.pending and not channel.closed:
                await self._wait()
            await self._link.drain()

    async def end(self) -> None:
        """Nothing more is written; reading goes on."""
        if self.channel is not None:
            self.channel.end()
            self._link.flush()

    async def close(self) -> None:
        """What was written still goes out; what comes from now on is dropped. Twice is as good as once."""
        held = len(self._held)
        self._held.clear()
        self._over = True
        self._changed.set()
        if self.channel is not None and not self.channel.closed:
            self.channel.handler = _Dropped()
            self.channel.grant(held)
            self.channel.end()
            self._link.flush()

    def give_up(self, reason: str) -> None:
        """End both ways at once: what was written needn't arrive."""
        if self.channel is not None:
            self.channel.give_up(reason)
            self._link.flush()
        self._broken = self._broken or reason
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class _Dropped(Handler):
    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        channel.grant(len(body))
