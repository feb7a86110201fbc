"""Schedules: what is run when, for whom, and the port that keeps them with what became of each time they came due.

One occurrence is a schedule and a due time. Whoever starts it gives the work that pair as its key, so that it is started
once, however often that is tried and by how many processes.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

from msgspec import Struct

ScheduleState = Literal["on", "paused", "stopped", "done"]
"""`paused` by a person, `stopped` by the host (`why` says what to do), `done`: it never comes due again."""

RunState = Literal["waiting", "starting", "started", "ended", "skipped", "missed", "failed"]
"""`waiting` to be started (for the run before, where that is what overlap says), `starting`: being started, by whoever gets to it
first; `started`: its task goes on. `skipped` because of overlap or a pause, `missed` while no host worked, `failed`: it
couldn't be started."""

OPEN: tuple[RunState, ...] = ("waiting", "starting", "started")
"""The states of a run with which something is still to be done."""

KEPT = 500
"""Runs of one schedule that are remembered once they are over."""


class Schedule(Struct, frozen=True, omit_defaults=True):
    """Something that is run when it is due. `spec` is that of the manifest's kind (core.manifests.schedule). `manifest`: a
    manifest says it, and else its person does. `revision` grows with every change. `due`: when next, None for never;
    `looked`: when that was last decided, by the wall clock. `runs`: how often it came due and wasn't missed. Times in
    seconds since the epoch."""

    id: str
    name: str
    person: str
    created: float
    spec: dict[str, Any]
    namespace: str = "default"
    manifest: bool = False
    revision: int = 1
    due: float | None = None
    state: ScheduleState = "on"
    why: str = ""
    runs: int = 0
    looked: float = 0.0


class Run(Struct, frozen=True, omit_defaults=True):
    """What became of one due time; of a `missed` one, perhaps of `count` of them up to `until`. `at`: when that was
    decided. `person`: as whom it runs. `late`: it was missed, and is run all the same; `manual`: somebody wanted it
    now. `order` is the JSON of what is started, until it is. `task`: the one that it started."""

    schedule: str
    due: float
    state: RunState
    at: float
    person: str
    late: bool = False
    manual: bool = False
    order: bytes = b""
    task: str = ""
    why: str = ""
    until: float = 0.0
    count: int = 1


class NewSchedule(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A schedule as it is asked for: its name, one's own schedules' names are unique, and what a manifest of the kind has
    as `spec`."""

    name: str
    spec: dict[str, Any]


class ScheduleChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Another `spec` for a schedule of one's own."""

    spec: dict[str, Any]


class ScheduleInfo(Struct, frozen=True, omit_defaults=True):
    """A schedule as it is shown. `when` says in words when it is due; `next`: the next times, at most five. `going`: the tasks
    of it that go on; `waiting`: how many runs wait for them."""

    id: str
    name: str
    person: str
    created: float
    spec: dict[str, Any]
    when: str
    state: ScheduleState
    manifest: bool = False
    why: str = ""
    due: float | None = None
    next: tuple[float, ...] = ()
    runs: int = 0
    going: tuple[str, ...] = ()
    waiting: int = 0


class RunInfo(Struct, frozen=True, omit_defaults=True):
    """What became of one due time, as it is shown. `outcome`: how its task ended, or its state while it goes on."""

    schedule: str
    due: float
    state: RunState
    at: float
    late: bool = False
    manual: bool = False
    task: str = ""
    outcome: str = ""
    why: str = ""
    until: float = 0.0
    count: int = 1


class RunPage(Struct, frozen=True):
    """What became of due times, the last first; `next` is the `before` of the page after, empty at the end."""

    items: tuple[RunInfo, ...]
    next: str = ""


class OwnSchedules(Protocol):
    """The use-cases, for one caller. Users have their own schedules and know nothing of others'; who manages the host sees
    all. `id` may be a schedule's name as well. All raise Forbidden where the caller may not, NotFound for one that isn't
    theirs to see."""

    async def add(self, wanted: NewSchedule, key: str = "") -> ScheduleInfo:
        """Make one of one's own; with the same `key`, once. Raises BadInput, and Conflict where the name is taken."""
        ...

    async def all(self) -> list[ScheduleInfo]: ...

    async def show(self, id: str) -> ScheduleInfo: ...

    async def change(self, id: str, change: ScheduleChange) -> ScheduleInfo:
        """Have one of one's own be another; what came due before runs as it was. Raises Conflict for one that a manifest
        says: apply another manifest."""
        ...

    async def pause(self, id: str) -> ScheduleInfo:
        """Have it come due no more; what waits is skipped, what runs goes on."""
        ...

    async def resume(self, id: str) -> ScheduleInfo:
        """Have it come due again from now on; what it would have run meanwhile isn't missed. Also after the host stopped
        it. Raises Conflict where it never comes due again."""
        ...

    async def run(self, id: str) -> RunInfo:
        """Have it run now as well, whatever it says about overlap."""
        ...

    async def remove(self, id: str) -> None:
        """Remove one, with its history; its tasks stay. Raises Conflict for one that a manifest says."""
        ...

    async def runs(self, id: str, before: float = 0.0, limit: int = 50) -> RunPage:
        """What became of its due times, the last first."""
        ...


class Schedules(Protocol):
    """Keeps schedules and their runs. What it returned for is on disk. Several processes may share it. Its conformance
    suite is `agenthost.testing.schedules`."""

    async def add(self, schedule: Schedule) -> bool:
        """Keep a new one; False where that id is there, or the name: among manifests', or among its person's own."""
        ...

    async def get(self, id: str) -> Schedule | None: ...

    async def all(self, namespace: str, person: str = "") -> list[Schedule]:
        """Those of a person (an empty one is anybody), by name."""
        ...

    async def change(self, schedule: Schedule, runs: Sequence[Run] = ()) -> bool:
        """Keep a changed one together with runs, as `put_run` does; its revision becomes one more. Of runs that are over the
        last KEPT stay. False, and nothing is changed, where it isn't of that revision any more, or is gone."""
        ...

    async def delete(self, id: str) -> bool:
        """Remove one with its runs; False where there is none. Files that nobody else needs may go."""
        ...

    async def due(self, now: float, ahead: float, limit: int) -> list[Schedule]:
        """Those that are due by `now`, the first first, and those that were last looked at after `ahead`."""
        ...

    async def next_due(self) -> float | None:
        """When the next one is due."""
        ...

    async def put_run(self, run: Run) -> bool:
        """Keep a run, once by its schedule and due time; False where there is one, or no such schedule. What was `missed`
        stands beside what was run, as a clock that is set back may have a time come again; of two the longer stays."""
        ...

    async def begin(self, run: Run, alone: bool) -> bool:
        """Make a run that is `waiting` one that is `starting`: False where it isn't waiting any more or, where it is to be
        `alone`, another run of its schedule is starting or started."""
        ...

    async def settle(self, run: Run) -> None:
        """Keep what became of a run that is open: state, task and why. Once it is started or over, its order is forgotten."""
        ...

    async def open(self) -> list[Run]:
        """Every run with which something is still to be done, by schedule and due time."""
        ...

    async def runs(self, id: str, before: float, limit: int) -> list[Run]:
        """A schedule's runs that were due before then, the last first."""
        ...

    async def sweep(self, before: float) -> int:
        """Remove people's own schedules that were done before that time; how many."""
        ...


def files_of(schedule: Schedule) -> set[str]:
    """The content hashes of the files that a schedule gives to what it runs."""
    run = cast("dict[str, Any]", schedule.spec.get("run") or {})
    return {str(file["digest"]) for file in cast("list[dict[str, Any]]", run.get("files") or ())}
