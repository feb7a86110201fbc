"""The conformance suite of `core.schedules.Schedules`. Subclass `SchedulesSuite` and give it a fixture `schedules`."""

from typing import Any

from msgspec.structs import replace

from agenthost.core.schedules import KEPT, Run, Schedule, Schedules

SPEC: dict[str, Any] = {"cron": "0 9 * * *", "run": {"agent": "echo", "text": "ä"}}
MORNING = Schedule("s1", "morning", "ann", 1.0, SPEC, due=100.0, looked=1.0)
END = float("inf")


def _run(due: float, state: Any = "waiting", schedule: str = "s1") -> Run:
    return Run(schedule, due, state, due + 1, "ann", order=b"{}")


class SchedulesSuite:
    """What every keeper of schedules does."""

    async def test_schedules_are_kept_as_they_are_and_are_their_persons(self, schedules: Schedules) -> None:
        other = Schedule("s2", "b", "bob", 2.0, SPEC, "lab", True, 3, None, "stopped", "he is gone", 4, 5.5)
        assert await schedules.add(MORNING)
        assert await schedules.add(other)
        assert await schedules.get("s1") == MORNING
        assert await schedules.get("s2") == other
        assert await schedules.get("s3") is None
        assert await schedules.all("default") == await schedules.all("default", "ann") == [MORNING]
        assert await schedules.all("lab", "ann") == []
        assert await schedules.delete("s1")
        assert not await schedules.delete("s1")
        assert await schedules.all("default") == []

    async def test_a_name_is_taken_among_ones_own_and_among_manifests(self, schedules: Schedules) -> None:
        assert await schedules.add(MORNING)
        assert not await schedules.add(replace(MORNING, name="evening"))
        assert not await schedules.add(replace(MORNING, id="s2"))
        assert await schedules.add(replace(MORNING, id="s2", person="bob"))
        assert await schedules.add(replace(MORNING, id="s3", manifest=True))
        assert not await schedules.add(replace(MORNING, id="s4", person="bob", manifest=True))

    async def test_only_who_has_read_the_last_revision_changes_it(self, schedules: Schedules) -> None:
        await schedules.add(MORNING)
        assert await schedules.change(replace(MORNING, due=200.0, runs=1, looked=100.0), [_run(100.0)])
        assert not await schedules.change(replace(MORNING, due=300.0), [_run(200.0)])
        found = replace(MORNING, due=200.0, runs=1, looked=100.0, revision=2)
        assert await schedules.get("s1") == found
        assert [run.due for run in await schedules.runs("s1", END, 10)] == [100.0]
        changed = replace(found, person="bob", spec={"at": "x"}, due=None, state="done", why="over")
        assert await schedules.change(changed)
        assert await schedules.get("s1") == replace(changed, revision=3)
        assert not await schedules.change(replace(MORNING, id="s9"), [_run(1.0, schedule="s9")])
        assert await schedules.runs("s9", END, 10) == []

    async def test_those_that_are_due_come_the_first_first(self, schedules: Schedules) -> None:
        assert await schedules.next_due() is None
        await schedules.add(MORNING)
        await schedules.add(replace(MORNING, id="s2", name="b", due=50.0))
        await schedules.add(replace(MORNING, id="s3", name="c", due=None, state="paused", looked=900.0))
        await schedules.add(replace(MORNING, id="s4", name="d", due=900.0, looked=900.0))
        assert await schedules.next_due() == 50.0
        assert [each.id for each in await schedules.due(49.0, 1000.0, 10)] == []
        assert [each.id for each in await schedules.due(100.0, 1000.0, 10)] == ["s2", "s1"]
        assert [each.id for each in await schedules.due(100.0, 1000.0, 1)] == ["s2"]
        # Those that were looked at in what is the future now: the clock was set back.
        assert [each.id for each in await schedules.due(49.0, 899.0, 10)] == ["s4"]

    async def test_a_run_is_kept_once_and_goes_with_its_schedule(self, schedules: Schedules) -> None:
        run = Run("s1", 1.5, "skipped", 2.0, "ann", True, True, b"", "t0", "one before", 9.0, 3)
        assert not await schedules.put_run(run)
        await schedules.add(MORNING)
        assert await schedules.put_run(run)
        assert not await schedules.put_run(replace(run, state="waiting"))
        assert await schedules.change(MORNING, [_run(1.5), _run(2.5)])
        assert await schedules.runs("s1", END, 10) == [_run(2.5), run]
        assert await schedules.runs("s1", 2.5, 10) == [run]
        assert await schedules.runs("s1", END, 1) == [_run(2.5)]
        await schedules.delete("s1")
        assert await schedules.runs("s1", END, 10) == [] == await schedules.open()

    async def test_a_time_that_was_missed_may_come_again_and_be_run(self, schedules: Schedules) -> None:
        await schedules.add(MORNING)
        missed = Run("s1", 1.5, "missed", 2.0, "ann", why="no host worked", until=9.0, count=3)
        assert await schedules.put_run(missed)
        assert not await schedules.put_run(replace(missed, at=3.0, until=5.0, count=2))
        assert await schedules.change(MORNING, [_run(1.5)])
        assert await schedules.runs("s1", END, 10) == [missed, _run(1.5)]
        assert await schedules.begin(_run(1.5), True)
        await schedules.settle(replace(_run(1.5), state="ended", task="t1"))
        # And the other way round: what was run is missed when it comes again with others.
        assert await schedules.put_run(replace(missed, until=20.0, count=7))
        ended = replace(_run(1.5), state="ended", task="t1", order=b"")
        assert await schedules.runs("s1", END, 10) == [replace(missed, until=20.0, count=7), ended]

    async def test_a_run_begins_once_and_alone_where_it_is_to_be(self, schedules: Schedules) -> None:
        await schedules.add(MORNING)
        await schedules.add(replace(MORNING, id="s2", name="b"))
        for run in (_run(1.0), _run(2.0), _run(3.0), _run(1.0, schedule="s2")):
            await schedules.put_run(run)
        assert await schedules.begin(_run(1.0), True)
        assert not await schedules.begin(_run(1.0), True)
        assert not await schedules.begin(_run(1.0), False)
        assert not await schedules.begin(_run(2.0), True)
        assert await schedules.begin(_run(2.0), False)
        assert await schedules.begin(_run(1.0, schedule="s2"), True)
        await schedules.settle(replace(_run(1.0), state="ended"))
        assert not await schedules.begin(_run(3.0), True)
        await schedules.settle(replace(_run(2.0), state="started", task="t2"))
        assert not await schedules.begin(_run(3.0), True)
        await schedules.settle(replace(_run(2.0), state="ended", task="t2"))
        assert await schedules.begin(_run(3.0), True)

    async def test_what_is_open_is_known_and_what_is_over_stays_so(self, schedules: Schedules) -> None:
        await schedules.add(MORNING)
        for due in (1.0, 2.0, 3.0):
            await schedules.put_run(_run(due))
        await schedules.put_run(_run(4.0, "missed"))
        assert [run.due for run in await schedules.open()] == [1.0, 2.0, 3.0]
        await schedules.begin(_run(1.0), False)
        assert (await schedules.open())[0] == replace(_run(1.0), state="starting")
        started = replace(_run(1.0), state="started", task="t1", order=b"")
        await schedules.settle(started)
        assert (await schedules.open())[0] == started
        await schedules.settle(replace(_run(2.0), state="failed", why="there is no agent 'x'"))
        await schedules.settle(replace(_run(2.0), state="ended"))
        assert [run.due for run in await schedules.open()] == [1.0, 3.0]
        (failed,) = [run for run in await schedules.runs("s1", END, 10) if run.due == 2.0]
        assert (failed.state, failed.why, failed.order) == ("failed", "there is no agent 'x'", b"")

    async def test_of_what_is_over_the_last_are_remembered(self, schedules: Schedules) -> None:
        await schedules.add(MORNING)
        await schedules.put_run(_run(0.5))
        await schedules.change(MORNING, [_run(float(due), "missed") for due in range(1, KEPT + 10)])
        found = await schedules.runs("s1", END, KEPT + 100)
        assert [run.due for run in found] == [*map(float, range(KEPT + 9, 8, -1)), 0.5]

    async def test_ones_own_that_are_done_are_swept_in_time(self, schedules: Schedules) -> None:
        done = replace(MORNING, due=None, state="done", looked=10.0)
        await schedules.add(done)
        await schedules.add(replace(done, id="s2", name="b", looked=20.0))
        await schedules.add(replace(done, id="s3", name="c", manifest=True))
        await schedules.add(replace(MORNING, id="s4", name="d", looked=1.0))
        assert await schedules.sweep(20.0) == 1
        assert [each.id for each in await schedules.all("default")] == ["s2", "s3", "s4"]
