"""What becomes of due times: by policy, in order, once each."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agenthost.core.access import DeedFilter, Person
from agenthost.core.errors import NotFound, Temporary
from agenthost.core.schedules import Run
from agenthost.host.schedules import runner as running
from agenthost.host.schedules.deciding import AT_ONCE, wanted_now
from agenthost.testing.loops import fast
from tests.host.schedules.world import START, World

QUARTERS: dict[str, Any] = {"cron": "*/15 * * * *"}


@pytest.fixture
async def world() -> World:
    made = World()
    await made.open()
    return made


async def end_all(world: World) -> None:
    for task in world.tasks.going():
        world.tasks.end(task)


async def test_nothing_is_started_before_it_is_due_and_then_once(world: World) -> None:
    await world.add(QUARTERS)
    assert await world.look() == START + 900
    await world.look(899.9)
    assert world.tasks.rows == {}
    assert await world.look(0.2) == START + 1800
    await world.look(5)
    assert world.tasks.dues() == [START + 900]
    await end_all(world)
    await world.look(1)
    assert await world.became() == [(15, "ended")]


@pytest.mark.parametrize(
    ("missed", "started", "became"),
    [
        ("skip", [], [(15, "missed")]),
        ("once", [75], [(15, "missed"), (75, "started")]),
        ("all", [15, 30, 45, 60, 75], [(15, "started"), *((at, "started") for at in (30, 45, 60, 75))]),
    ],
)
async def test_what_was_missed_goes_by_policy(
    world: World, missed: str, started: list[int], became: list[tuple[float, str]]
) -> None:
    await world.add(QUARTERS | {"missed": missed, "overlap": "allow"})
    await world.look(80 * 60)
    assert [(due - START) / 60 for due in world.tasks.dues()] == started
    assert await world.became() == became
    counted = sum(run.count for run in await world.runs())
    assert counted == 5
    assert all(run.late == (run.state == "started") for run in await world.runs())


async def test_one_in_time_stands_for_those_that_were_missed(world: World) -> None:
    await world.add(QUARTERS | {"missed": "once"})
    await world.look(60 * 60 + 10)
    (missed, run) = await world.runs()
    assert (missed.state, missed.count, missed.until) == ("missed", 3, START + 45 * 60)
    assert (run.due, run.late) == (START + 3600, False)


async def test_of_all_the_newest_run_one_after_the_other_and_the_rest_is_told(world: World) -> None:
    await world.add(QUARTERS | {"missed": "all", "mostMissed": 3})
    await world.look(10 * 3600 + 120)
    assert [state for _, state in await world.became()] == ["missed", "started", "waiting", "waiting"]
    assert (await world.runs())[0].count == 37
    for _ in range(3):
        assert len(world.tasks.going()) == 1
        await end_all(world)
        await world.look(1)
    assert [state for _, state in await world.became()] == ["missed", "ended", "ended", "ended"]
    assert world.tasks.together == 1


async def test_grace_says_how_late_is_in_time(world: World) -> None:
    await world.add(QUARTERS | {"missed": "skip", "grace": "10m"})
    await world.look(24 * 60)
    assert world.tasks.dues() == [START + 900]
    await world.look(17 * 60)
    assert await world.became() == [(15, "started"), (30, "missed")]


async def test_a_year_of_minutes_is_decided_in_steps_and_counted(world: World) -> None:
    await world.add({"cron": "* * * * *", "missed": "all", "mostMissed": 2})
    await world.look(7 * 86_400 + 120)
    runs = await world.runs()
    assert sum(run.count for run in runs) == 7 * 1440 + 2
    # Those that are in time find the missed ones' turn.
    assert [run.state for run in runs][-4:] == ["started", "waiting", "skipped", "skipped"]
    assert len(runs) < 4 + 7 * 1440 / (AT_ONCE - 3) + 1


# --- overlap ---


async def test_skip_names_the_run_that_went_on(world: World) -> None:
    await world.add(QUARTERS)
    await world.look(900)
    await world.look(900)
    (first, second) = await world.runs()
    assert (second.state, second.why) == ("skipped", f"the run before went on ({first.task})")
    await end_all(world)
    await world.look(900)
    assert [state for _, state in await world.became()] == ["ended", "skipped", "started"]


async def test_queue_runs_them_one_after_the_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_WAITING", 2)
    await world.add(QUARTERS | {"overlap": "queue"})
    for _ in range(5):
        await world.look(900)
    assert [state for _, state in await world.became()] == ["started", "waiting", "waiting", "skipped", "skipped"]
    for _ in range(3):
        await end_all(world)
        await world.look(1)
    assert [state for _, state in await world.became()] == ["ended", "ended", "ended", "skipped", "skipped"]
    assert world.tasks.together == 1


async def test_allow_runs_both(world: World) -> None:
    await world.add(QUARTERS | {"overlap": "allow"})
    await world.look(900)
    await world.look(900)
    assert world.tasks.together == 2


async def test_replace_cancels_the_run_before_and_begins_when_it_has_ended(world: World) -> None:
    await world.add(QUARTERS | {"overlap": "replace"})
    await world.look(900)
    await world.look(900)
    await world.look(1)
    (first, second) = await world.runs()
    assert world.tasks.rows[first.task].state == "canceled"
    assert (first.state, first.why, second.state) == ("ended", "canceled", "started")
    assert world.tasks.together == 1


async def test_by_hand_it_runs_whatever_overlap_says_and_when_paused(world: World) -> None:
    schedule = await world.add(QUARTERS)
    await world.look(900)
    world.now += 10
    assert await world.kept.put_run(wanted_now(schedule, world.now))
    await world.look()
    assert world.tasks.together == 2
    found = await world.kept.get("sch_s")
    assert found is not None
    await world.kept.change(replace(found, state="paused", due=None))
    world.now += 10
    await world.kept.put_run(wanted_now(schedule, world.now))
    await world.kept.put_run(Run("sch_s", world.now + 1, "waiting", world.now, "owner", order=b"{}"))
    await world.look()
    assert [run.state for run in await world.runs()] == ["started", "started", "started", "skipped"]
    assert (await world.runs())[-1].why == "the schedule was paused"


# --- what stands in the way ---


async def test_a_person_who_has_left_or_may_no_more_stops_their_schedule(world: World) -> None:
    await world.open("ann", "bob")
    await world.add(QUARTERS, "of-ann", "ann")
    await world.add(QUARTERS, "of-bob", "bob")
    await world.accounts.delete_person("ann")
    await world.accounts.put_person(Person("bob", "read-only", 1.0))
    await world.look(900)
    for name in ("ann", "bob"):
        found = await world.kept.get(f"sch_of-{name}")
        assert found is not None and (found.state, found.due) == ("stopped", None)
        assert f"'{name}', as whom it runs, has left, or may not give work any more" in found.why
        (run,) = await world.runs(f"sch_of-{name}")
        assert run.state == "failed" and run.why in found.why
    assert world.tasks.rows == {}
    stops = await world.accounts.deeds(DeedFilter(what="schedule.stop"))
    assert {deed.person for deed in stops} == {"ann", "bob"}
    await world.look(3600)
    assert len(await world.runs("sch_of-ann")) == 1


async def test_what_cant_be_run_fails_and_the_schedule_goes_on(world: World) -> None:
    await world.add(QUARTERS)
    world.tasks.refuses = NotFound("there is no agent 'echo'")
    await world.look(900)
    world.tasks.refuses = None
    await world.look(900)
    assert await world.became() == [(15, "failed"), (30, "started")]
    assert (await world.runs())[0].why == "there is no agent 'echo'"


async def test_what_cant_be_run_just_now_is_tried_again_as_it_was(world: World) -> None:
    schedule = await world.add(QUARTERS)
    world.tasks.refuses = Temporary("the disk is full", code="disk-full")
    assert await world.look(900) == world.now + running.AGAIN
    found = await world.kept.get("sch_s")
    assert found is not None
    # Edited meanwhile: what came due before runs as it was.
    await world.kept.change(replace(found, spec=schedule.spec | {"run": {"agent": "echo", "text": "y"}}))
    world.tasks.refuses = None
    await world.look(5)
    (order,) = world.tasks.orders.values()
    assert (order.text, order.notes["schedule"]["due"]) == ("x", START + 900)


async def test_a_schedule_that_cant_be_read_stops_and_no_other(world: World) -> None:
    await world.add(QUARTERS, "good")
    bad = await world.add(QUARTERS, "bad")
    await world.kept.change(replace(bad, spec=bad.spec | {"timezone": "Mars/Olympus"}))
    await world.look(900)
    found = await world.kept.get("sch_bad")
    assert found is not None and found.state == "stopped" and "Mars/Olympus" in found.why
    assert len(world.tasks.rows) == 1


async def test_count_and_until_end_it(world: World) -> None:
    await world.add(QUARTERS | {"count": 2, "overlap": "allow"})
    await world.add(QUARTERS | {"until": "2026-03-28T00:20"}, "short")
    for _ in range(4):
        await world.look(900)
    assert [due for due, _ in await world.became()] == [15, 30]
    assert [due for due, _ in await world.became("sch_short")] == [15]
    for id in ("sch_s", "sch_short"):
        found = await world.kept.get(id)
        assert found is not None and (found.state, found.why) == ("done", "it came for the last time")


# --- clocks ---


async def test_a_clock_that_goes_back_has_nothing_run_twice_and_nothing_left_out(world: World) -> None:
    await world.add(QUARTERS | {"overlap": "allow"})
    for _ in range(4):
        await world.look(900)
    await world.look(-3000)
    for _ in range(10):
        await world.look(450)
    assert world.tasks.dues() == [START + 900 * n for n in range(1, 6)]


async def test_a_clock_that_was_wrong_by_years_doesnt_leave_a_schedule_waiting_for_them(world: World) -> None:
    await world.add({"cron": "0 0 1 * *"})
    await world.look(20 * 365 * 86_400)
    await end_all(world)
    assert await world.look(-20 * 365 * 86_400) == 1_775_001_600.0  # 2026-04-01
    await world.look(4 * 86_400)
    assert 1_775_001_600.0 in world.tasks.dues()


def test_a_simulated_week_of_a_real_loop_with_a_clock_that_sleeps_and_is_set() -> None:
    """The runner itself waits: on a loop whose time jumps, with a wall clock that differs from it."""

    async def week() -> tuple[World, list[float], int]:
        world, loop = World(), asyncio.get_running_loop()
        await world.open()
        runner = world.runners[0]
        runner._zones |= {"UTC", "Europe/Athens"}  # pyright: ignore[reportPrivateUsage] - no threads on this loop
        slept = [0.0]

        def clock() -> float:
            world.now = START + loop.time() + slept[0]
            return world.now

        began: list[float] = []
        start = world.tasks._start  # pyright: ignore[reportPrivateUsage]

        def noted(*given: Any) -> Any:
            began.append(clock() - given[1].notes["schedule"]["due"])
            return start(*given)

        world.tasks._start = noted  # type: ignore[method-assign]
        await world.add({"cron": "0 9 * * mon-fri", "timezone": "Europe/Athens", "overlap": "allow"})
        going = loop.create_task(runner.run(clock))
        await asyncio.sleep(2 * 86_400)  # Saturday and Sunday: nothing
        assert began == []
        idle = world.steps
        await asyncio.sleep(86_400)  # Monday, at six in UTC: the clocks have gone forward
        assert len(began) == 1 and began[0] < 0.1
        slept[0] += 20 * 3600  # the machine sleeps over Tuesday's
        await asyncio.sleep(60)
        assert len(began) == 2 and 14 * 3600 <= began[1] < 14 * 3600 + 31
        slept[0] -= 7200  # and its clock is set back
        await asyncio.sleep(4 * 86_400)
        going.cancel()
        return world, began, idle

    world, began, idle = fast(week(), limit=1e7)
    # Two quiet days read the store less than once in five minutes, and call nothing.
    assert idle < 2 * 86_400 / running.REREAD * 6
    assert len(world.tasks.dues()) == len(set(world.tasks.dues())) == len(began) == 5
    assert all(late < 0.1 for late in began if late != began[1])
