"""What a store has, counted: for whoever looks after a host."""

from typing import Protocol

import msgspec
from msgspec import Struct


class Census(Struct, frozen=True, omit_defaults=True):
    """Unfinished tasks of every namespace, and what else may want somebody's attention.

    `states`: how many there are by state, without those with a hold. `held`: how many can't go on (dead letters), and
    `reasons` why the newest few of them can't, by id; `paused`: how many rest because somebody had them rest. `quiet`: tasks at work, with nothing unfinished below them, of which nothing was heard
    for long. `oldest`: when the task was made that has waited longest to begin, `last`: when the last event was
    (seconds since the epoch, 0 for none). `expired` and `expiring` are keys.
    """

    states: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    held: int = 0
    reasons: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    quiet: tuple[str, ...] = ()
    oldest: float = 0.0
    last: float = 0.0
    expired: int = 0
    expiring: int = 0
    paused: int = 0


class Stock(Protocol):
    """Counts what a store has. Its conformance suite is `agenthost.testing.stock`."""

    async def census(self, now: float, quiet: float, soon: float) -> Census:
        """Count. `quiet`: seconds without an event; `soon`: seconds until a key expires."""
        ...
