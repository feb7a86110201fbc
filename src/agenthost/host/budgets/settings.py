"""Budgets of a day, as `[budgets]` gives them."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Limits, Reached


class DayLimits(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """The most of one day: model `turns`, `tokens`, `cost` in USD, and `duration` in seconds of work. What isn't named isn't
    bounded."""

    turns: Annotated[int, msgspec.Meta(ge=0)] | None = None
    tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    duration: Annotated[float, msgspec.Meta(ge=0)] | None = None

    def limits(self) -> Limits:
        """As budgets are reckoned."""
        return Limits(self.turns, self.tokens, self.cost, self.duration)


class BudgetSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """What may be spent in one day, `[budgets]`: tables of `turns`, `tokens`, `cost` (USD) and `duration` (seconds).

    `zone`: the time zone whose days they are, such as `Europe/Berlin`. `reached`: what becomes of a task that one has no room
    for: `end`, or `ask` whether it may be raised. `host`: all tasks together. `namespace`, `person` and `agent`: each of
    them. `people` and `agents`: some of them by name, in the place of that.
    """

    zone: str = "UTC"
    reached: Reached = "end"
    host: DayLimits = DayLimits()
    namespace: DayLimits = DayLimits()
    person: DayLimits = DayLimits()
    agent: DayLimits = DayLimits()
    people: dict[str, DayLimits] = msgspec.field(default_factory=dict[str, DayLimits])
    agents: dict[str, DayLimits] = msgspec.field(default_factory=dict[str, DayLimits])

    def __post_init__(self) -> None:
        if self.zone == "UTC":
            return  # known without a look at the disk, which would hold a loop up
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone '{self.zone}'; give one such as Europe/Berlin, or UTC") from None
