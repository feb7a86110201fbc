"""Limits of one provider, shared by every task: requests and tokens a minute, calls at once, and pauses.

Whoever comes first goes first. Time is the loop's, so a test can turn the clock.
"""

import asyncio
from collections import deque
from typing import NamedTuple


class _Bucket:
    """Refills evenly to a minute's worth. May run below zero when a call used more than was thought."""

    __slots__ = ("_at", "_level", "_size")

    def __init__(self, per_minute: int) -> None:
        self._size = float(per_minute)
        self._level = self._size
        self._at: float | None = None

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` is there. What is more than a minute's worth waits for a full bucket."""
        if self._at is not None:
            self._level = min(self._size, self._level + (now - self._at) * self._size / 60.0)
        self._at = now
        missing = min(amount, self._size) - self._level
        return missing * 60.0 / self._size if missing > 1e-6 else 0.0

    def take(self, amount: float) -> None:
        self._level -= amount

    def give(self, amount: float) -> None:
        self._level = min(self._size, self._level + amount)


class _Waiting(NamedTuple):
    granted: asyncio.Future[None]
    tokens: int


class Limiter:
    """`acquire` before a call, `release` after it. None is no limit. For one event loop."""

    def __init__(
        self,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        concurrency: int | None = None,
    ) -> None:
        self._requests = _Bucket(requests_per_minute) if requests_per_minute else None
        self._tokens = _Bucket(tokens_per_minute) if tokens_per_minute else None
        self._concurrency = concurrency
        self._running = 0
        self._paused_until = 0.0
        self._queue: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return sum(not entry.granted.done() for entry in self._queue)

    async def acquire(self, tokens: int = 0) -> None:
        """Wait for a turn. `tokens`: the most that the call is thought to use."""
        loop = asyncio.get_running_loop()
        if not self._queue and self._ready(tokens, loop.time()) == 0.0:
            self._take(tokens)
            return
        entry = _Waiting(loop.create_future(), tokens)
        self._queue.append(entry)
        self._advance()
        try:
            await entry.granted
        except asyncio.CancelledError:
            if entry.granted.done() and not entry.granted.cancelled():
                self.release(tokens, 0)
            else:
                self._advance()
            raise

    def release(self, tokens: int = 0, used: int | None = None) -> None:
        """The call is over. `used`: the tokens that it really took; None where nobody knows."""
        self._running -= 1
        if self._tokens is not None and used is not None:
            self._tokens.give(tokens - used)
        self._advance()

    def pause(self, seconds: float) -> None:
        """Start nothing for `seconds`: the provider asked for it."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)

    def _ready(self, tokens: int, now: float) -> float | None:
        """Seconds until a call may start; None where it must wait for another call's end."""
        if self._concurrency is not None and self._running >= self._concurrency:
            return None
        wait = max(0.0, self._paused_until - now)
        if self._requests is not None:
            wait = max(wait, self._requests.wait(1, now))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens, now))
        return wait

    def _take(self, tokens: int) -> None:
        self._running += 1
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def _advance(self) -> None:
        """Let in whoever may start now, and set the alarm for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            entry = self._queue[0]
            if entry.granted.done():
                self._queue.popleft()
                continue
            loop = entry.granted.get_loop()
            wait = self._ready(entry.tokens, loop.time())
            if wait is None:
                return
            if wait > 0.0:
                self._timer = loop.call_later(wait, self._advance)
                return
            self._queue.popleft()
            self._take(entry.tokens)
            entry.granted.set_result(None)
