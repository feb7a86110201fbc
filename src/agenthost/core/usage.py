"""What was used over a time, summed up: the port that answers for a month's figures without reading the ledger."""

from calendar import monthrange
from datetime import date
from typing import Literal, Protocol

from msgspec import Struct

from agenthost.core.errors import BadInput

Dimension = Literal["day", "month", "person", "agent", "model"]

_FIRST = date(1970, 1, 1).toordinal()


class UsageFilter(Struct, frozen=True, omit_defaults=True):
    """Which figures are wanted, and by what they are summed up (`by`, in the order of the rows; empty: one row in all).

    `since` and `until` are the first and the last day of it in UTC, `2026-11-21`, or whole months, `2026-11`; empty: no
    end. `after` is the key of the last row of the page before (`UsageRow.key`).
    """

    by: tuple[Dimension, ...] = ()
    since: str = ""
    until: str = ""
    namespace: str = "default"
    person: str = ""
    agent: str = ""
    model: str = ""
    after: tuple[str, ...] = ()
    limit: int = 1000


class UsageRow(Struct, frozen=True, omit_defaults=True):
    """Sums of the attempts at model calls (and tools' paid calls) with one `key`, its values in the order of `by`.

    `calls`, `turns`, `tokens` and `cost` (USD) are of what is settled; `unpriced` of these calls have no known price
    and count 0. `open_*` are of attempts that aren't: what is reserved for those that go on, and what stands for good
    for those whose answer nobody has seen. An attempt counts on the day on which it was made.
    """

    key: tuple[str, ...] = ()
    calls: int = 0
    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    open_calls: int = 0
    open_tokens: int = 0
    open_cost: float = 0.0


class Usages(Protocol):
    """Sums up what the ledger holds, also of tasks that are deleted by now, and counts tasks. Its suite is
    `agenthost.testing.usage`."""

    async def usage(self, wanted: UsageFilter) -> list[UsageRow]:
        """The figures, by rising keys. Raises BadInput where a day isn't one, or `after` doesn't fit `by`."""
        ...

    async def forget(self, namespace: str, person: str = "") -> None:
        """Remove the figures of somebody, or of a whole namespace, once the ledger has nothing of theirs."""
        ...

    async def open_tasks(self) -> dict[str, int]:
        """How many tasks go on, by state. Looks at each of them: for a start, not for a clock."""
        ...

    async def held_tasks(self) -> dict[str, int]:
        """How many of them are held, by hold. Looks at these alone."""
        ...


def days(wanted: UsageFilter) -> tuple[int, int]:
    """The first and the last day that are wanted, in days since 1970. Raises BadInput."""
    if wanted.after and len(wanted.after) != len(wanted.by):
        raise BadInput("`after` is the whole key of a row: as many values as there are in `by`")
    first = _day(wanted.since, False) if wanted.since else 0
    return first, _day(wanted.until, True) if wanted.until else 10_000_000


def _day(text: str, last: bool) -> int:
    try:
        if len(text) == len("2026-11"):
            year, month = int(text[:4]), int(text[5:])
            text = f"{text}-{monthrange(year, month)[1] if last else 1:02}"
        return date.fromisoformat(text).toordinal() - _FIRST
    except ValueError as error:
        raise BadInput(f"'{text}' is no day; give one such as 2026-11-21, or a month such as 2026-11") from error
