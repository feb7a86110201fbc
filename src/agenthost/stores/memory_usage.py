"""What was used, added up in memory: attempts of the ledger as they are, those of tasks that are deleted by day."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.ids import root_id
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.ports import LedgerEntry
from agenthost.stores.rules import DAY, FAR, NANO, weigh, whole_days

K = TypeVar("K")

Sums = tuple[int, int, int, int, int]
"""Calls, tokens, nano-USD, those of them that aren't settled, those without a price."""

_NOTHING: Sums = (0, 0, 0, 0, 0)


class Of(Struct, frozen=True):
    """Whose sums these are. `day` counts from 1970, in UTC; without a task they are those of deleted ones."""

    namespace: str
    day: int
    person: str
    agent: str
    model: str
    task: str = ""


def deleted(used: Mapping[Of, Sums], entries: Iterable[LedgerEntry]) -> dict[Of, Sums]:
    """The sums of deleted tasks, with what else of the ledger goes now."""
    return _added(used, ((replace(_of(entry), task=""), _weighed(entry)) for entry in entries))


def nobodys(used: Mapping[Of, Sums], namespace: str, person: str) -> dict[Of, Sums]:
    """Sums without somebody's name."""
    kept = (
        (replace(of, person="") if (of.namespace, of.person) == (namespace, person) else of, sums)
        for of, sums in used.items()
    )
    return _added({}, kept)


def add_up(ledger: Iterable[LedgerEntry], used: Mapping[Of, Sums], wanted: UsageFilter) -> list[UsageLine]:
    """The lines of `core.keeping.Keeping.usage`."""
    named = {name: value for name in ("namespace", "person", "agent", "model") if (value := getattr(wanted, name))}
    found = _added(
        {} if wanted.by else {(): _NOTHING},
        (
            (tuple(_value(of, name) for name in wanted.by), sums)
            for of, sums in _between(ledger, used, wanted)
            if all(getattr(of, name) == value for name, value in named.items())
        ),
    )
    lines = [
        UsageLine(calls, tokens, cost / NANO, open, unpriced, **dict(zip(wanted.by, key, strict=True)))
        for key, (calls, tokens, cost, open, unpriced) in found.items()
    ]
    lines.sort(key=lambda line: (-line.cost, -line.tokens, line.task, line.agent, line.person, line.model, line.day))
    return lines[: wanted.limit]


def _between(ledger: Iterable[LedgerEntry], used: Mapping[Of, Sums], wanted: UsageFilter) -> Iterator[tuple[Of, Sums]]:
    until = wanted.until or FAR
    for entry in ledger:
        if wanted.since <= entry.at < until and wanted.task in ("", root_id(entry.task)):
            yield _of(entry), _weighed(entry)
    if not wanted.task and "task" not in wanted.by:
        first, last = whole_days(wanted.since, until)
        yield from ((of, sums) for of, sums in used.items() if first <= of.day < last)


def _of(entry: LedgerEntry) -> Of:
    return Of(entry.namespace, int(entry.at // DAY), entry.person, entry.agent, entry.model, root_id(entry.task))


def _weighed(entry: LedgerEntry) -> Sums:
    _, tokens, cost, _ = weigh(entry.spent if entry.spent is not None else entry.worst)
    return 1, tokens, cost, int(not entry.settled), int(not entry.priced)


def _value(of: Of, name: str) -> str:
    return datetime.fromtimestamp(of.day * DAY, UTC).date().isoformat() if name == "day" else str(getattr(of, name))


def _added(sums: Mapping[K, Sums], more: Iterable[tuple[K, Sums]]) -> dict[K, Sums]:
    found = dict(sums)
    for key, (calls, tokens, cost, open, unpriced) in more:
        old = found.get(key, _NOTHING)
        found[key] = (old[0] + calls, old[1] + tokens, old[2] + cost, old[3] + open, old[4] + unpriced)
    return found
