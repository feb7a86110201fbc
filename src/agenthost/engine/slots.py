"""How many runs of a role go on at once, across all tasks: `replicas`, read live."""

import asyncio
from collections import deque
from collections.abc import Callable


class Slots:
    """Slots by key. `most(key)` says how many there are now; it may change at any time (then `review`)."""

    def __init__(self, most: Callable[[str], int]) -> None:
        self._most = most
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def ask(self, key: str) -> asyncio.Future[None]:
        """Ask for a slot: done once it is given, in the order of asking. Hand it to `give_back` in any case."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        self.review(key)
        return turn

    def give_back(self, key: str, turn: asyncio.Future[None]) -> None:
        """Give back a slot, or stop waiting for it."""
        if turn.done() and not turn.cancelled():
            self._taken[key] -= 1
        else:
            turn.cancel()
            waiting = self._waiting.get(key)
            if waiting is not None and turn in waiting:
                waiting.remove(turn)
        self.review(key)

    def review(self, key: str | None = None) -> None:
        """Give out what is free, of one key or (after the counts have changed) of all."""
        for name in [key] if key is not None else list(self._waiting):
            waiting = self._waiting.get(name)
            while waiting and self._taken.get(name, 0) < self._most(name):
                turn = waiting.popleft()
                if not turn.done():
                    self._taken[name] = self._taken.get(name, 0) + 1
                    turn.set_result(None)
            if not waiting:
                self._waiting.pop(name, None)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """By key: taken, waiting, and how many there are."""
        keys = {key for key, taken in self._taken.items() if taken} | set(self._waiting)
        return {key: (self._taken.get(key, 0), len(self._waiting.get(key, ())), self._most(key)) for key in keys}
