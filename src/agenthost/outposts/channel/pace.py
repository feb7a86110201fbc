"""How quickly messages may be sent: in one place, in a group of people, in all. The times come from the caller's clock."""

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable

MINUTE = 60.0
_MANY = 10_000


class Pace:
    """`every`: least seconds between two messages of a place; `rate`: most a second in all; `group_rate`: most a minute in
    a group. What a service says itself (`rest`) is kept to the second."""

    def __init__(
        self,
        every: float,
        rate: float,
        group_rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._every = every
        self._between = 1.0 / rate
        self._most = max(1, int(group_rate))
        self._clock = clock
        self._sleep = sleep
        self._next: dict[str, float] = {}
        self._free = 0.0
        self._minutes: dict[str, collections.deque[float]] = {}

    def wait(self, place: str, group: bool, now: float) -> float:
        """Seconds until a message may be sent there, 0 where it may now."""
        at = max(self._free, self._next.get(place, 0.0))
        sent = self._minutes.get(place)
        if group and sent is not None and len(sent) == self._most:
            at = max(at, sent[0] + MINUTE)
        return max(0.0, at - now)

    def took(self, place: str, group: bool, now: float) -> None:
        """A message is sent there now."""
        self._free = max(self._free, now) + self._between
        self._next[place] = max(self._next.get(place, 0.0), now + self._every)
        if group:
            self._minutes.setdefault(place, collections.deque(maxlen=self._most)).append(now)
        if len(self._next) > _MANY:
            self._next = {key: then for key, then in self._next.items() if then > now}
            self._minutes = {key: sent for key, sent in self._minutes.items() if sent[-1] > now - MINUTE}

    def rest(self, place: str, seconds: float) -> None:
        """The service wants nothing there for so long."""
        self._next[place] = max(self._next.get(place, 0.0), self._clock() + seconds)

    async def turn(self, place: str, group: bool) -> None:
        """Wait until a message may be sent there, and take that moment."""
        while (wait := self.wait(place, group, self._clock())) > 0:
            await self._sleep(wait)
        self.took(place, group, self._clock())
