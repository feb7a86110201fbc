"""Schedules and their runs in memory: the same rules, for tests."""

from collections.abc import Sequence

from msgspec.structs import replace

from agenthost.core.schedules import KEPT, OPEN, Run, Schedule, files_of


class MemorySchedules:
    """The port `core.schedules.Schedules`."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}
        self._runs: dict[tuple[str, float, bool], Run] = {}
        self.let_go: set[str] = set()
        """Files that nobody may need any more."""

    async def add(self, schedule: Schedule) -> bool:
        taken = {_named(each) for each in self._schedules.values()}
        if schedule.id in self._schedules or _named(schedule) in taken:
            return False
        self._schedules[schedule.id] = schedule
        return True

    async def get(self, id: str) -> Schedule | None:
        return self._schedules.get(id)

    async def all(self, namespace: str, person: str = "") -> list[Schedule]:
        found = [each for each in self._schedules.values() if each.namespace == namespace]
        return sorted((each for each in found if person in ("", each.person)), key=lambda each: each.name)

    async def change(self, schedule: Schedule, runs: Sequence[Run] = ()) -> bool:
        before = self._schedules.get(schedule.id)
        if before is None or before.revision != schedule.revision:
            return False
        self.let_go |= files_of(before) - files_of(schedule)
        self._schedules[schedule.id] = replace(schedule, revision=schedule.revision + 1)
        for run in runs:
            await self.put_run(run)
        for run in (await self.runs(schedule.id, float("inf"), 1_000_000))[KEPT + 1 :]:
            if run.state not in OPEN:
                del self._runs[_key(run)]
        return True

    async def delete(self, id: str) -> bool:
        gone = self._schedules.pop(id, None)
        if gone is None:
            return False
        self.let_go |= files_of(gone)
        self._runs = {key: run for key, run in self._runs.items() if key[0] != id}
        return True

    async def due(self, now: float, ahead: float, limit: int) -> list[Schedule]:
        coming = [each for each in self._schedules.values() if each.due is not None]
        found = sorted((each for each in coming if (each.due or 0.0) <= now), key=lambda each: each.due or 0.0)[:limit]
        later = sorted((each for each in coming if each.looked > ahead), key=lambda each: each.looked)[:limit]
        return list({each.id: each for each in (*found, *later)}.values())

    async def next_due(self) -> float | None:
        return min((each.due for each in self._schedules.values() if each.due is not None), default=None)

    async def put_run(self, run: Run) -> bool:
        found = self._runs.get(_key(run))
        longer = found is not None and run.state == "missed" and run.count > found.count
        if run.schedule not in self._schedules or (found is not None and not longer):
            return False
        self._runs[_key(run)] = replace(found, until=run.until, count=run.count) if found is not None else run
        return True

    async def begin(self, run: Run, alone: bool) -> bool:
        found = self._runs.get((run.schedule, run.due, False))
        going = [
            each
            for each in self._runs.values()
            if each.schedule == run.schedule and each.state in ("starting", "started")
        ]
        if found is None or found.state != "waiting" or (alone and going):
            return False
        self._runs[_key(found)] = replace(found, state="starting")
        return True

    async def settle(self, run: Run) -> None:
        found = self._runs.get((run.schedule, run.due, False))
        if found is not None and found.state in OPEN:
            order = found.order if run.state in ("waiting", "starting") else b""
            settled = replace(found, state=run.state, task=run.task, why=run.why, order=order)
            self._runs[_key(found)] = settled

    async def open(self) -> list[Run]:
        found = [run for run in self._runs.values() if run.state in OPEN]
        return sorted(found, key=lambda run: (run.schedule, run.due))

    async def runs(self, id: str, before: float, limit: int) -> list[Run]:
        found = [run for run in self._runs.values() if run.schedule == id and run.due < before]
        return sorted(found, key=lambda run: (-run.due, run.state != "missed"))[:limit]

    async def sweep(self, before: float) -> int:
        gone = [each for each in self._schedules.values() if each.state == "done" and not each.manifest]
        return sum([await self.delete(each.id) for each in gone if each.looked < before])

    def forget(self, namespace: str, person: str = "") -> None:
        """Forget those of a person (an empty one is anybody)."""
        for each in [*self._schedules.values()]:
            if each.namespace == namespace and person in ("", each.person):
                self.let_go |= files_of(each)
                del self._schedules[each.id]
        self._runs = {key: run for key, run in self._runs.items() if key[0] in self._schedules}

    def held(self) -> set[str]:
        """The files that schedules give to what they run."""
        return {digest for each in self._schedules.values() for digest in files_of(each)}


def _key(run: Run) -> tuple[str, float, bool]:
    return run.schedule, run.due, run.state == "missed"


def _named(schedule: Schedule) -> tuple[str, str, str]:
    """What no two have in common."""
    return schedule.namespace, "" if schedule.manifest else schedule.person, schedule.name
