"""Who is served next: those who have least of the slots, person by person, and of a person task by task.

A task that asks for a hundred answers at once keeps nobody else waiting for more than the answers that are being made.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

_FEW = 64  # that wait: so many are told of each move; more would cost more than their news is worth


class Who(Struct, frozen=True):
    """On whose behalf something is asked."""

    person: str
    task: str


class _Waiting:
    __slots__ = ("granted", "tell", "who")

    def __init__(self, who: Who, tell: Callable[[int], None], granted: "asyncio.Future[None]") -> None:
        self.who = who
        self.tell = tell
        self.granted = granted


def who_of(metadata: Mapping[str, str]) -> Who:
    """The person and the root task of a request."""
    return Who(metadata.get("person", ""), metadata.get("task", "").partition(".")[0])


class FairQueue:
    """Hands out `slots`. For one event loop."""

    def __init__(self, slots: int) -> None:
        self._slots = self._free = slots
        self._waiting: deque[_Waiting] = deque()
        self._has: Counter[str] = Counter()
        self._served: dict[Who | str, int] = {}
        self._clock = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def resize(self, slots: int) -> None:
        """Hand out so many from now on. Where more are taken, the next are given when enough have come back."""
        self._free += slots - self._slots
        self._slots = slots
        self._serve()

    @asynccontextmanager
    async def turn(self, who: Who, tell: Callable[[int], None]) -> AsyncGenerator[None]:
        """Wait for a slot and have it. `tell` hears how many are served before, at first and when it changes."""
        await self._acquire(who, tell)
        try:
            yield
        finally:
            self._release(who)

    async def _acquire(self, who: Who, tell: Callable[[int], None]) -> None:
        if self._free > 0 and not self._waiting:
            self._grant(who)
            return
        # Who comes new is neither before nor behind those who were just served.
        for key in (who, who.person):
            self._served.setdefault(key, self._clock)
        entry = _Waiting(who, tell, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._told(entry)
        try:
            await entry.granted
        except asyncio.CancelledError:
            if entry.granted.done() and not entry.granted.cancelled():
                self._release(who)
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def _told(self, entry: _Waiting | None = None) -> None:
        if len(self._waiting) > _FEW:
            if entry is not None:
                entry.tell(len(self._waiting) - 1)
            return
        for place, waiting in enumerate(self._order()):
            if entry in (None, waiting):
                waiting.tell(place)

    def _grant(self, who: Who) -> None:
        self._clock += 1
        self._free -= 1
        self._has[who.person] += 1
        self._has[f"{who.person}\0{who.task}"] += 1
        self._served[who] = self._served[who.person] = self._clock

    def _release(self, who: Who) -> None:
        self._free += 1
        for key in (who.person, f"{who.person}\0{who.task}"):
            self._has[key] -= 1
            if not self._has[key]:
                del self._has[key]
        self._serve()

    def _serve(self) -> None:
        while self._free > 0 and self._waiting:
            entry = self._next(self._waiting, self._has, self._served)
            self._waiting.remove(entry)
            if entry.granted.done():
                continue  # cancelled, and not come round to saying so
            self._grant(entry.who)
            entry.granted.set_result(None)
        if not self._waiting:
            self._forget()
        self._told()

    def _forget(self) -> None:
        """When nobody waits, nobody need be remembered but who has something."""
        self._served = {key: at for key, at in self._served.items() if self._has[_key(key)]}

    def _order(self) -> list[_Waiting]:
        """Those who wait, in the order in which they are served if nobody else comes."""
        waiting, has, served = deque(self._waiting), self._has.copy(), dict(self._served)
        clock = self._clock
        ordered: list[_Waiting] = []
        while waiting:
            entry = self._next(waiting, has, served)
            waiting.remove(entry)
            ordered.append(entry)
            clock += 1
            served[entry.who] = served[entry.who.person] = clock
        return ordered

    def _next(self, waiting: deque[_Waiting], has: Counter[str], served: dict[Who | str, int]) -> _Waiting:
        def rank(entry: _Waiting) -> tuple[int, int, int, int]:
            person, task = entry.who.person, f"{entry.who.person}\0{entry.who.task}"
            return has[person], served.get(person, 0), has[task], served.get(entry.who, 0)

        return min(waiting, key=rank)


def _key(key: Who | str) -> str:
    return key if isinstance(key, str) else f"{key.person}\0{key.task}"
