"""Schedules and their runs as they are shown."""

from itertools import islice

from msgspec.structs import asdict

from agenthost.core.errors import BadInput
from agenthost.core.lifecycle import FINAL
from agenthost.core.manifests.schedule import ScheduleSpec
from agenthost.core.schedules import Run, RunInfo, Schedule, ScheduleInfo
from agenthost.core.tasks import TaskRow
from agenthost.host.schedules.deciding import in_words, spec_of
from agenthost.manifests.timing import timing

SHOWN = 5
"""Times to come that are told."""


def info(schedule: Schedule, runs: list[Run]) -> ScheduleInfo:
    """A schedule with its open runs, as it is shown. Reads time zones from files."""
    try:
        spec: ScheduleSpec | None = spec_of(schedule)
        when = in_words(spec_of(schedule))
    except (ValueError, BadInput):
        spec, when = None, "it can't be read"
    next: tuple[float, ...] = ()
    if spec is not None and schedule.due is not None:
        left = SHOWN if spec.count is None else min(SHOWN, spec.count - schedule.runs)
        next = (schedule.due, *islice(timing(spec).after(schedule.due), max(0, left - 1)))
    return ScheduleInfo(
        schedule.id,
        schedule.name,
        schedule.person,
        schedule.created,
        schedule.spec,
        when,
        schedule.state,
        schedule.manifest,
        schedule.why,
        schedule.due,
        next,
        schedule.runs,
        tuple(run.task for run in runs if run.state == "started"),
        sum(run.state in ("waiting", "starting") for run in runs),
    )


def run_info(run: Run, task: TaskRow | None) -> RunInfo:
    """A run as it is shown; `task` is its task, where that goes on."""
    outcome, why = ("", run.why) if run.state != "ended" else (run.why, "")
    if task is not None:
        outcome = (task.outcome or task.state) if task.state in FINAL else task.state
    fields = {name: value for name, value in asdict(run).items() if name not in ("person", "order", "why")}
    return RunInfo(**fields, outcome=outcome, why=why)
