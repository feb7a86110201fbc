"""What is kept beside journals, in memory: the same rules, for tests."""

from collections import Counter, defaultdict
from datetime import UTC, datetime

from agenthost.core.budgets import Spend
from agenthost.core.ids import root_id
from agenthost.core.keeping import KeptAnswer, PlacedEvent, UsageFilter, UsageLine, Version
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import LedgerEntry
from agenthost.core.tasks import TaskRow
from agenthost.stores.memory import MemoryStore

_NO_END = 2**62


class MemoryKeeping:
    """The port `core.keeping.Keeping` beside a memory store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._answers: dict[str, KeptAnswer] = {}
        self._settings: dict[str, bytes] = {}

    async def versions(self, kind: str, name: str, namespace: str, before: int = 0, limit: int = 50) -> list[Version]:
        kept = self._store.tables.versions.get((namespace, kind, name), [])
        found = [Version(number, at, body) for number, (at, body) in enumerate(kept, 1) if number < (before or _NO_END)]
        return found[::-1][:limit]

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        groups: defaultdict[tuple[str, ...], list[LedgerEntry]] = defaultdict(list)
        if not wanted.by:
            groups[()] = []
        for entry in self._store.tables.ledger.values():
            if _wanted(entry, wanted):
                groups[tuple(_value(entry, name) for name in wanted.by)].append(entry)
        lines = [_line(dict(zip(wanted.by, key, strict=True)), entries) for key, entries in groups.items()]
        lines.sort(
            key=lambda line: (-line.cost, -line.tokens, line.task, line.agent, line.person, line.model, line.day)
        )
        return lines[: wanted.limit]

    async def forget_usage(self, namespace: str, person: str = "") -> None:
        """Nothing is kept apart from the ledger."""

    async def open_tasks(self) -> dict[str, int]:
        return Counter(row.state for row in self._going())

    async def held_tasks(self) -> dict[str, int]:
        return Counter(row.hold for row in self._going() if row.hold)

    def _going(self) -> list[TaskRow]:
        return [row for row in self._store.tables.tasks.values() if row.state not in FINAL]

    async def begin_answer(self, key: str, answer: KeptAnswer, since: float) -> KeptAnswer | None:
        found = self._answers.get(key)
        if found is not None and found.at >= since and (found.status or found.maker == answer.maker):
            return found
        self._answers[key] = answer
        return None

    async def end_answer(self, key: str, answer: KeptAnswer | None) -> None:
        if answer is None:
            self._answers.pop(key, None)
        else:
            self._answers[key] = answer

    async def sweep_answers(self, before: float) -> int:
        gone = [key for key, answer in self._answers.items() if answer.at < before]
        for key in gone:
            del self._answers[key]
        return len(gone)

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
            row = tables.tasks[task]
            if row.namespace == namespace and person in ("", row.person):
                found.append(PlacedEvent(place, task, event))
                if len(found) >= limit:
                    return found, place
        return found, max(after, len(tables.placed))


def _wanted(entry: LedgerEntry, wanted: UsageFilter) -> bool:
    return (
        entry.namespace == wanted.namespace
        and wanted.task in ("", root_id(entry.task))
        and wanted.agent in ("", entry.agent)
        and wanted.person in ("", entry.person)
        and wanted.model in ("", entry.model)
        and entry.at >= wanted.since
        and (not wanted.until or entry.at < wanted.until)
    )


def _value(entry: LedgerEntry, name: str) -> str:
    if name == "task":
        return root_id(entry.task)
    return datetime.fromtimestamp(entry.at, UTC).date().isoformat() if name == "day" else str(getattr(entry, name))


def _line(values: dict[str, str], entries: list[LedgerEntry]) -> UsageLine:
    spent = sum((entry.spent if entry.spent is not None else entry.worst for entry in entries), Spend())
    unpriced = sum(not entry.priced for entry in entries)
    open = sum(not entry.settled for entry in entries)
    return UsageLine(len(entries), spent.tokens, spent.cost, open, unpriced, **values)
