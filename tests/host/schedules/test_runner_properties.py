"""No occurrence is lost and none is started twice: whatever the policies, wherever processes die, whatever the clock does."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.lifecycle import FINAL
from agenthost.core.schedules import OPEN
from tests.host.schedules.world import World, occurrences

CRONS = ("*/15 * * * *", "*/7 * * * *", "0 * * * *", "30 3 * * *", "0,30 */2 * * *")
Acts = list[tuple[str, int]]

specs = st.fixed_dictionaries(
    {
        "cron": st.sampled_from(CRONS),
        "timezone": st.sampled_from(("UTC", "Europe/Athens")),
        "missed": st.sampled_from(("skip", "once", "all")),
        "overlap": st.sampled_from(("skip", "queue", "allow", "replace")),
        "mostMissed": st.integers(1, 4),
        "grace": st.sampled_from(("1s", "60s", "20m")),
    }
)
waits = st.sampled_from((0, 1, 59, 60, 450, 900, 901, 3600, 7200, 30_000, 86_400))
forward = st.tuples(st.just("wait"), waits)
deaths = st.tuples(st.sampled_from(("die before", "die after")), st.integers(0, 12))
ends = st.tuples(st.just("end"), st.integers(0, 3))
back = st.tuples(st.just("back"), st.sampled_from((1, 61, 301, 3600, 40_000)))
edits = st.tuples(st.just("edit"), st.integers(0, 5))


async def play(spec: dict[str, Any], acts: Acts, runners: int, yields: list[int]) -> tuple[World, float]:
    """Have it all happen; then the clock is right, everything ends, and nobody dies any more."""
    world = World(runners)
    await world.open()
    await world.add(spec)
    furthest = world.now
    for step, (act, amount) in enumerate([*acts, *[("wait", 1), ("end all", 0)] * 200]):
        if step > len(acts) + 2 and not await world.kept.open():
            break
        if step == len(acts):
            world.now = furthest
        match act:
            case "wait":
                world.now += amount
            case "back":
                world.now -= amount
            case "die before" | "die after":
                world.dies = (amount, act == "die after")
                continue
            case "edit":
                # The text alone: when it is due stays as it was.
                found = await world.kept.get("sch_s")
                assert found is not None
                run = {"agent": "echo", "text": f"edited {amount}"}
                await world.kept.change(type(found)(**{**_fields(found), "spec": found.spec | {"run": run}}))
            case _:
                for task in world.tasks.going()[: amount + 1 if act == "end" else None]:
                    world.tasks.end(task)
        furthest = max(furthest, world.now)
        world.yields = list(yields)
        await world.died()
    return world, furthest


def _fields(schedule: Any) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in schedule.__struct_fields__}


async def check(world: World, spec: dict[str, Any], furthest: float, exact: bool) -> None:
    schedule = await world.kept.get("sch_s")
    assert schedule is not None and schedule.state == "on" and schedule.due is not None
    every = occurrences(schedule, furthest)
    runs = await world.runs()
    assert not [run for run in runs if run.state in OPEN], "everything ended, and something is still to be done"
    # None is lost: each was begun, skipped, or is told as missed.
    decided = {run.due for run in runs if run.state != "missed"}
    missed = [run for run in runs if run.state == "missed"]
    if exact:
        assert decided <= set(every)
    for due in every:
        assert due in decided or any(run.due <= due <= run.until for run in missed), due
    if exact:
        assert len(decided) + sum(run.count for run in missed) == len(every)
    # None is started twice, and what was started is what is told.
    assert world.tasks.dues() == sorted(run.due for run in runs if run.task)
    assert all(row.state in FINAL for row in world.tasks.rows.values())
    assert len({run.task for run in runs if run.task}) == len(world.tasks.rows)
    if spec["overlap"] != "allow":
        assert world.tasks.together <= 1
    late = [run for run in runs if run.late]
    if spec["missed"] == "skip":
        assert not late
    if spec["overlap"] in ("queue", "allow"):
        assert all(run.task for run in runs if run.state != "missed")


@settings(max_examples=100, deadline=None)
@given(specs, st.lists(st.one_of(forward, forward, deaths, ends, edits), max_size=14))
def test_each_occurrence_is_run_or_told_once_wherever_the_process_dies(spec: dict[str, Any], acts: Acts) -> None:
    async def whole() -> None:
        world, furthest = await play(spec, acts, 1, [])
        await check(world, spec, furthest, exact=True)

    asyncio.run(whole())


@settings(max_examples=100, deadline=None)
@given(
    specs, st.lists(st.one_of(forward, forward, deaths, ends), max_size=10), st.lists(st.integers(0, 3), max_size=60)
)
def test_two_processes_on_one_store_start_each_once(spec: dict[str, Any], acts: Acts, yields: list[int]) -> None:
    async def whole() -> None:
        world, furthest = await play(spec, acts, 2, yields)
        await check(world, spec, furthest, exact=True)

    asyncio.run(whole())


@settings(max_examples=100, deadline=None)
@given(specs, st.lists(st.one_of(forward, forward, back, deaths, ends), max_size=14))
def test_a_clock_that_jumps_both_ways_loses_none_and_starts_none_twice(spec: dict[str, Any], acts: Acts) -> None:
    async def whole() -> None:
        world, furthest = await play(spec, acts, 1, [])
        await check(world, spec, furthest, exact=False)

    asyncio.run(whole())
