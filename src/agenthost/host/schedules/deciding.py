"""What becomes of due times: pure, from a schedule and the wall clock."""

from itertools import islice, takewhile
from typing import Any

import msgspec
from msgspec.structs import replace

from agenthost.core.api import Order
from agenthost.core.manifests.schedule import ScheduleSpec
from agenthost.core.schedules import Run, Schedule
from agenthost.host.orders import id_for
from agenthost.manifests.timing import Timing, shown, timing

BACK = 300.0
"""Seconds by which the clock was set back where a schedule was looked at in what is the future now."""
AT_ONCE = 2000
"""Due times that one step decides about: some 50 ms at 30 us each (cronsim with a time zone)."""

ABSENT = "no host worked then"


def spec_of(schedule: Schedule) -> ScheduleSpec:
    """What a schedule says."""
    return ScheduleSpec.model_validate(schedule.spec, strict=False)


def started(schedule: Schedule, now: float) -> Schedule:
    """A schedule that comes due from now on, by what it says."""
    spec = spec_of(schedule)
    if spec.paused:
        return replace(schedule, due=None, state="paused", why="its manifest says so", looked=now)
    due = None if spec.count is not None and schedule.runs >= spec.count else timing(spec).first(now)
    if due is None:
        return replace(schedule, due=None, state="done", why=_over(spec), looked=now)
    return replace(schedule, due=due, state="on", why="", looked=now)


def _over(spec: ScheduleSpec) -> str:
    return "it was to come once" if spec.at else "it came for the last time"


def decide(schedule: Schedule, now: float) -> tuple[Schedule, list[Run]]:
    """The schedule after everything that was due by `now`, as far as one step goes, and what becomes of that: runs that wait to
    be started, and those that were missed. It is due again by `now` where there is more to decide."""
    if schedule.due is None:
        return schedule, []
    spec = spec_of(schedule)
    when = timing(spec)
    if schedule.looked > now + BACK:
        # The clock was wrong, and had gone further: what comes again by the right one was perhaps never run.
        return replace(schedule, due=when.first(now) or schedule.due, looked=now), []
    if schedule.due > now:
        return schedule, []
    times = _times(when, schedule.due, now)
    looked = replace(schedule, looked=now)
    if len(times) > AT_ONCE:
        # As many as may be run are left to the step that knows which are the last.
        kept = min(spec.mostMissed if spec.missed == "all" else 1, AT_ONCE)
        if old := [due for due in times[:-kept] if now - due > spec.grace]:
            return replace(looked, due=times[len(old)]), _missed(schedule, old, now)
    late, run = _chosen(spec, times, now)
    left = len(times) if spec.count is None else max(0, spec.count - schedule.runs)
    chosen = sorted({*late, *run})[:left]
    over = len(chosen) == left and spec.count is not None
    passed = [due for due in times if due not in chosen and not (over and chosen and due > chosen[-1])]
    runs = [*_missed(schedule, passed, now), *(_waiting(schedule, spec, due, now, due in late) for due in chosen)]
    due = None if over else when.first(times[-1])
    looked = replace(looked, due=due, runs=schedule.runs + len(chosen))
    return (looked if due is not None else replace(looked, state="done", why=_over(spec))), runs


def _times(when: Timing, first: float, now: float) -> list[float]:
    """What is due by now, beginning with the first; at most one more than a step decides about."""
    return [first, *islice(takewhile(lambda due: due <= now, when.after(first)), AT_ONCE)]


def _chosen(spec: ScheduleSpec, times: list[float], now: float) -> tuple[set[float], set[float]]:
    """Those that are run although they were missed, and those that are run in time."""
    run = {due for due in times if now - due <= spec.grace}
    late = [due for due in times if due not in run]
    if spec.missed == "skip":
        return set(), run
    if spec.missed == "once":
        # One that is in time stands for those that were missed.
        return (set(late[-1:]) if not run else set()), run
    return set(late[-spec.mostMissed :]), run


def _missed(schedule: Schedule, times: list[float], now: float) -> list[Run]:
    if not times:
        return []
    first, last = times[0], times[-1]
    return [Run(schedule.id, first, "missed", now, schedule.person, why=ABSENT, until=last, count=len(times))]


def _waiting(schedule: Schedule, spec: ScheduleSpec, due: float, now: float, late: bool) -> Run:
    order = msgspec.json.encode(order_of(schedule, spec, due))
    return Run(schedule.id, due, "waiting", now, schedule.person, late=late, order=order)


def wanted_now(schedule: Schedule, due: float) -> Run:
    """A run that somebody wants besides."""
    order = msgspec.json.encode(order_of(schedule, spec_of(schedule), due))
    return Run(schedule.id, due, "waiting", due, schedule.person, manual=True, order=order)


def order_of(schedule: Schedule, spec: ScheduleSpec, due: float) -> Order:
    """What is started at a due time. Its key is the occurrence."""
    told: dict[str, Any] = {"id": schedule.id, "name": schedule.name, "due": due}
    return Order(
        spec.run.name,
        spec.run.text,
        tuple(file.part() for file in spec.run.files),
        dict(spec.run.inputs),
        key=f"schedule:{schedule.id}:{due!r}",
        namespace=schedule.namespace,
        person=schedule.person,
        conversation=spec.conversation,
        notes={"schedule": told},
    )


def order_given(run: Run, namespace: str) -> Order:
    """What a run that isn't started yet is to start."""
    return replace(msgspec.json.decode(run.order, type=Order), person=run.person, namespace=namespace)


def task_of(run: Run, namespace: str) -> str:
    """The task that a run starts, or will; empty where that is over."""
    return run.task if run.task or not run.order else id_for(order_given(run, namespace))


def in_words(spec: ScheduleSpec) -> str:
    """When it is due, for people."""
    when = timing(spec)
    if spec.at:
        return f"once, {shown(when.at, when.zone)}"
    return f"{spec.cron} ({spec.timezone})"
