"""How many runs of a role go on at once, across all tasks: `replicas`, read live."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """Slots by key. `most(key)` says how many there are now; it may change at any time."""

    def __init__(self, most: Callable[[str], int]) -> None:
        self._most = most
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for a slot, in order of asking, and hold it."""
        await self._take(key)
        try:
            yield
        finally:
            self._taken[key] -= 1
            self.review(key)

    async def _take(self, key: str) -> None:
        waiting = self._waiting.setdefault(key, deque())
        if not waiting and self._taken.get(key, 0) < self._most(key):
            self._taken[key] = self._taken.get(key, 0) + 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._taken[key] -= 1
                self.review(key)
            else:
                waiting.remove(turn)
            raise

    def review(self, key: str | None = None) -> None:
        """Give out what is free, of one key or (after the counts have changed) of all."""
        for name in [key] if key is not None else list(self._waiting):
            waiting = self._waiting.get(name)
            while waiting and self._taken.get(name, 0) < self._most(name):
                turn = waiting.popleft()
                if not turn.done():
                    self._taken[name] = self._taken.get(name, 0) + 1
                    turn.set_result(None)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """By key: taken, waiting, and how many there are."""
        keys = set(self._taken) | set(self._waiting)
        return {key: (self._taken.get(key, 0), len(self._waiting.get(key, ())), self._most(key)) for key in keys}
