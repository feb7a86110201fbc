"""What is kept beside journals, in memory: the same rules, for tests."""

from collections import Counter

from agenthost.core.keeping import KeptAnswer, PlacedEvent, UsageFilter, UsageLine, Version
from agenthost.core.lifecycle import FINAL
from agenthost.core.tasks import TaskRow
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_usage import add_up

_NO_END = 2**62


class MemoryKeeping:
    """The port `core.keeping.Keeping` beside a memory store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.answers: dict[str, KeptAnswer] = {}
        self._settings: dict[str, bytes] = {}

    async def versions(self, kind: str, name: str, namespace: str, before: int = 0, limit: int = 50) -> list[Version]:
        kept = self._store.tables.versions.get((namespace, kind, name), [])
        found = [Version(number, at, body) for number, (at, body) in enumerate(kept, 1) if number < (before or _NO_END)]
        return found[::-1][:limit]

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        tables = self._store.tables
        return add_up(tables.ledger.values(), tables.used, wanted)

    async def open_tasks(self) -> dict[str, int]:
        return Counter(row.state for row in self._going())

    async def held_tasks(self) -> dict[str, int]:
        return Counter(row.hold for row in self._going() if row.hold)

    def _going(self) -> list[TaskRow]:
        foreign = self._store.foreign
        return [row for row in self._store.tables.tasks.values() if row.state not in FINAL and row.id not in foreign]

    async def begin_answer(self, key: str, answer: KeptAnswer, since: float) -> KeptAnswer | None:
        found = self.answers.get(key)
        if found is not None and found.at >= since and (found.status or found.maker == answer.maker):
            return found
        self.answers[key] = answer
        return None

    async def end_answer(self, key: str, answer: KeptAnswer | None) -> None:
        if answer is None:
            self.answers.pop(key, None)
        else:
            self.answers[key] = answer

    async def changed(self) -> dict[str, bytes]:
        return dict(self._settings)

    async def change(self, values: dict[str, bytes | None]) -> None:
        for name, value in values.items():
            if value is None:
                self._settings.pop(name, None)
            else:
                self._settings[name] = value

    async def newest(self) -> int:
        return len(self._store.tables.placed)

    async def placed(
        self, after: int, namespace: str, person: str = "", limit: int = 500
    ) -> tuple[list[PlacedEvent], int]:
        tables = self._store.tables
        found: list[PlacedEvent] = []
        for place, (task, event) in enumerate(tables.placed[after:], after + 1):
            row = tables.tasks.get(task)  # None where it is deleted
            if row is not None and row.namespace == namespace and person in ("", row.person):
                found.append(PlacedEvent(place, task, event))
                if len(found) >= limit:
                    return found, place
        return found, max(after, len(tables.placed))
