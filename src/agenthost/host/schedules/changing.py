"""Changes of schedules: what came due before runs as it was, and who read an older one reads again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from agenthost.core.errors import BadInput
from agenthost.core.schedules import Run, Schedule, Schedules
from agenthost.host.schedules.deciding import decide, started

_WHEN = ("cron", "at", "timezone", "until", "count", "paused")
"""What of a schedule says when it is due."""


class Changes:
    """Makes them, however many others do at the same time."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    async def make(
        self, schedule: Schedule, now: float, change: Callable[[Schedule], Awaitable[Schedule]]
    ) -> Schedule | None:
        """Change a schedule as it is by `now`; None where it is gone."""
        found: Schedule | None = schedule
        while found is not None:
            decided, runs = await asyncio.to_thread(_up_to, found, now)
            after = await change(decided)
            if await self._schedules.change(after, runs):
                return replace(after, revision=after.revision + 1)
            found = await self._schedules.get(schedule.id)
        return None

    async def say(self, schedule: Schedule, spec: dict[str, Any], person: str, since: float) -> Schedule | None:
        """Have a schedule say something else from a moment on; None where it is gone."""

        async def say(found: Schedule) -> Schedule:
            after = replace(found, spec=spec, person=person)
            again = any(found.spec.get(key) != spec.get(key) for key in _WHEN)
            # Whom a person paused stays paused, whatever the manifest says about when.
            by_hand = found.state == "paused" and not found.spec.get("paused")
            return await begun(after, since) if found.state == "stopped" or (again and not by_hand) else after

        return await self.make(schedule, since, say)


def _up_to(schedule: Schedule, now: float) -> tuple[Schedule, list[Run]]:
    """A schedule after all that was due by `now`, and what becomes of that."""
    runs: list[Run] = []
    try:
        while schedule.due is not None and schedule.due <= now:
            schedule, more = decide(schedule, now)
            runs += more
    except (BadInput, ValueError):
        return schedule, []  # it can't be read, which is what is to be changed
    return schedule, runs


async def begun(schedule: Schedule, now: float) -> Schedule:
    """As `started`, beside the loop: time zones are read from files."""
    return await asyncio.to_thread(started, schedule, now)
