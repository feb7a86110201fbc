"""A month's figures of the in-memory store, summed up when they are asked for."""

from collections import Counter
from datetime import UTC, datetime

from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import LedgerEntry
from agenthost.core.tasks import TaskRow
from agenthost.core.usage import Dimension, UsageFilter, UsageRow, days
from agenthost.stores.memory import MemoryStore
from agenthost.stores.rules import NANO, weigh


class MemoryUsages:
    """The port `core.usage.Usages`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def usage(self, wanted: UsageFilter) -> list[UsageRow]:
        first, last = days(wanted)
        sums: dict[tuple[str, ...], list[int]] = {}
        for entry in self._store.snapshot().ledger.values():
            if first <= entry.at // 86400 <= last and _wanted(entry, wanted):
                key = tuple(_value(entry, name) for name in wanted.by)
                sums[key] = [had + more for had, more in zip(sums.get(key, [0] * 8), _weights(entry), strict=True)]
        keys = sorted(key for key in sums if key > wanted.after)[: wanted.limit]
        return [_row(key, sums[key]) for key in keys] if wanted.by else [_row((), each) for each in sums.values()]

    async def forget(self, namespace: str, person: str = "") -> None:
        """Nothing is kept apart from the ledger."""

    async def open_tasks(self) -> dict[str, int]:
        return Counter(row.state for row in self._going())

    async def held_tasks(self) -> dict[str, int]:
        return Counter(row.hold for row in self._going() if row.hold)

    def _going(self) -> list[TaskRow]:
        return [row for row in self._store.snapshot().tasks.values() if row.state not in FINAL]


def _wanted(entry: LedgerEntry, wanted: UsageFilter) -> bool:
    return (
        entry.namespace == wanted.namespace
        and wanted.person in ("", entry.person)
        and wanted.agent in ("", entry.agent)
        and wanted.model in ("", entry.model)
    )


def _value(entry: LedgerEntry, name: Dimension) -> str:
    if name == "day" or name == "month":
        day = datetime.fromtimestamp(entry.at, UTC).date().isoformat()
        return day if name == "day" else day[:7]
    return str(getattr(entry, name))


def _weights(entry: LedgerEntry) -> list[int]:
    if entry.spent is None:
        return [0] * 5 + [1, *weigh(entry.worst)[1:]]
    return [1, *weigh(entry.spent), int(not entry.priced), 0, 0, 0]


def _row(key: tuple[str, ...], sums: list[int]) -> UsageRow:
    calls, turns, tokens, cost, unpriced, open_calls, open_tokens, open_cost = sums
    return UsageRow(key, calls, turns, tokens, cost / NANO, unpriced, open_calls, open_tokens, open_cost / NANO)
