"""How many runs of a role go on at once, across all tasks: `replicas`, read live. And how many root tasks."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

Turn = asyncio.Future[None]


class Slots:
    """Slots by key. `most(key)` says how many there are now; it may change at any time (then `review`). They are asked for in
    somebody's name (`who`): one after the other has a turn, and nobody has more than half of those of a key, but for who has no
    name."""

    def __init__(self, most: Callable[[str], int]) -> None:
        self._most = most
        self._taken: dict[str, Counter[str]] = {}
        self._waiting: dict[str, dict[str, deque[Turn]]] = {}

    def ask(self, key: str, who: str = "") -> Turn:
        """Ask for a slot: done once it is given, in the order of asking. Hand it to `give_back` in any case."""
        turn: Turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, {}).setdefault(who, deque()).append(turn)
        self.review(key)
        return turn

    def give_back(self, key: str, turn: Turn, who: str = "") -> None:
        """Give back a slot, or stop waiting for it."""
        if turn.done() and not turn.cancelled():
            self._taken[key][who] -= 1
        else:
            turn.cancel()
        self.review(key)

    def review(self, key: str | None = None) -> None:
        """Give out what is free, of one key or (after the counts have changed) of all."""
        for name in [key] if key is not None else list(self._waiting):
            taken = self._taken.setdefault(name, Counter())
            while taken.total() < self._most(name) and self._give(name, taken):
                pass

    def _give(self, key: str, taken: Counter[str]) -> bool:
        """Give out one slot; False where nobody who waits may have it."""
        waiting = self._waiting.get(key, {})
        for who in list(waiting):
            turns = waiting.pop(who)
            while turns and turns[0].done():
                turns.popleft()
            if turns:
                waiting[who] = turns  # at the end: the others are first the next time
                if not who or taken[who] < max(1, self._most(key) // 2):
                    taken[who] += 1
                    turns.popleft().set_result(None)
                    return True
        return False

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """By key: taken, waiting, and how many there are."""
        found: dict[str, tuple[int, int, int]] = {}
        for key, taken in self._taken.items():
            waiting = sum(not turn.done() for turns in self._waiting.get(key, {}).values() for turn in turns)
            if taken.total() or waiting:
                found[key] = (taken.total(), waiting, self._most(key))
        return found


class Seat:
    """One task's slot of a key: left while it only waits, and asked for again before anything of it goes on."""

    def __init__(self, slots: Slots, key: str, who: str) -> None:
        self._slots, self._key, self._who = slots, key, who
        self.turn: Turn | None = slots.ask(key, who)

    def again(self) -> Turn:
        """The turn that is held, or waited for."""
        if self.turn is None:
            self.turn = self._slots.ask(self._key, self._who)
        return self.turn

    def leave(self) -> None:
        if self.turn is not None:
            turn, self.turn = self.turn, None
            self._slots.give_back(self._key, turn, self._who)
