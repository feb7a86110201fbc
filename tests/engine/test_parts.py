"""The small parts of the engine, each alone."""

import asyncio
from typing import Any

import pytest
from bundles import world_of

from agenthost.core.budgets import Spend
from agenthost.core.commands import Ask, CallModel, Verdict, View
from agenthost.core.errors import Failure, Temporary
from agenthost.core.events import Answered, Finished, Noted, Recorded, Retried
from agenthost.core.lifecycle import State
from agenthost.core.models import Delta
from agenthost.core.ports import LedgerEntry, Settlement
from agenthost.engine.bus import MOST_WAITING, Bus
from agenthost.engine.codec import BIG, Codec
from agenthost.engine.outcome import Outcome
from agenthost.engine.parts import EngineSettings
from agenthost.engine.retry import delay
from agenthost.engine.slots import Slots
from agenthost.engine.step import Step, state_after
from agenthost.engine.supervisor import Supervisor
from agenthost.programs.base import BaseState, Open
from agenthost.testing.loops import fast
from agenthost.testing.world import MemoryBlobs, order


@pytest.mark.parametrize("attempt", range(1, 12))
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_the_wait_is_a_random_share_of_a_doubling_bound(attempt: int, share: float) -> None:
    settings = EngineSettings()
    bound = min(30.0, 0.5 * 2 ** (attempt - 1))
    assert delay(Temporary("x"), attempt, settings, lambda: share) == pytest.approx(share * bound)
    wanted = delay(Temporary("x", delay=20.0), attempt, settings, lambda: share)
    assert 20.0 <= wanted <= 20.0 + 0.1 * bound


def test_slots_are_given_in_the_order_of_asking_and_come_back() -> None:
    async def go() -> None:
        most = {"k": 1}
        slots = Slots(most.__getitem__)
        first, second, third = slots.ask("k"), slots.ask("k"), slots.ask("k")
        assert [turn.done() for turn in (first, second, third)] == [True, False, False]
        assert slots.counts() == {"k": (1, 2, 1)}
        slots.give_back("k", second)
        slots.give_back("k", first)
        assert third.done() and second.cancelled()
        fourth = slots.ask("k")
        fourth.cancel()
        most["k"] = 5
        slots.review()
        assert slots.counts() == {"k": (1, 0, 5)}
        slots.give_back("k", fourth)
        slots.give_back("k", third)
        assert slots.counts() == {}

    fast(go())


def test_nobody_takes_all_slots_and_each_has_a_turn() -> None:
    async def go() -> None:
        slots = Slots({"": 4}.__getitem__)
        eve = [slots.ask("", "eve") for _ in range(10)]
        assert [turn.done() for turn in eve] == [True, True] + [False] * 8
        ann, owner = [slots.ask("", "ann")], slots.ask("")
        ann += [slots.ask("", "ann") for _ in range(2)]
        assert [turn.done() for turn in (*ann, owner)] == [True, False, False, True]
        assert slots.counts() == {"": (4, 10, 4)}
        slots.give_back("", eve[0], "eve")
        slots.give_back("", eve[1], "eve")
        assert (eve[2].done(), eve[3].done(), ann[1].done()) == (True, False, True)
        for turn, who in [(turn, "eve") for turn in eve[2:]] + [(turn, "ann") for turn in ann] + [(owner, "")]:
            slots.give_back("", turn, who)
        assert slots.counts() == {}

    fast(go())


def test_a_slow_follower_is_told_that_it_missed_something() -> None:
    async def go() -> None:
        bus = Bus()
        follower = bus.follow("t1.x")
        other = bus.follow("t1")
        recorded = Recorded("t1.y", 1, 0.0, Noted("x"))
        bus.committed([recorded])
        bus.delta("t1", "m1", 1, Delta("word"))
        await follower.wait()
        assert len(follower.items) == 2 and bus.followed("t1.z") and not bus.followed("t2")
        bus.committed([recorded] * MOST_WAITING)
        assert follower.missed and len(follower.items) == 2
        bus.leave("t1", follower)
        bus.leave("t1", follower)
        bus.leave("t1", other)
        bus.leave("t1", other)
        assert not bus.followed("t1")
        bus.committed([recorded])
        bus.delta("t1", "m1", 1, Delta("word"))

    fast(go())


def test_big_events_are_blobs_and_secrets_are_taken_out_before() -> None:
    async def go() -> None:
        blobs = MemoryBlobs()
        codec = Codec(blobs, lambda body: body.replace(b"secret", b"[...]"))
        (small,) = await codec.encode([Recorded("t", 1, 0.0, Noted("a secret"))])
        assert b"secret" not in small.body and not blobs.kept
        (big,) = await codec.encode([Recorded("t", 2, 0.0, Noted("secret " * BIG))])
        assert len(big.body) < 200 and len(blobs.kept) == 1
        assert b"secret" not in next(iter(blobs.kept.values()))
        assert (await codec.decode("t", big)).event == Noted("[...] " * BIG)

    fast(go())


def test_the_supervisor_reports_a_failure_once_and_starts_nothing_once_it_closes() -> None:
    async def go() -> None:
        reported: list[tuple[str, BaseException]] = []
        supervisor = Supervisor(lambda name, error: reported.append((name, error)))

        async def fails() -> None:
            raise ValueError("x")

        supervisor.start("bad", fails())
        supervisor.start("long", asyncio.sleep(1000))
        assert supervisor.names == ["bad", "long"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert supervisor.names == ["long"] and [name for name, _ in reported] == ["bad"]
        await supervisor.close()
        with pytest.raises(RuntimeError):
            supervisor.start("more", asyncio.sleep(1))

    fast(go())


def step_and_state() -> tuple[Step, BaseState]:
    state = BaseState(spec=order("t1", "a"))
    command = CallModel("m1", "m", View(0, 1))
    state.open["m1"] = Open(command, 1)

    def apply(recorded: Recorded) -> None:
        if isinstance(recorded.event, Answered):
            state.open.pop(recorded.event.command, None)

    return Step("t1", 5, 0.0, apply, Codec(MemoryBlobs(), lambda body: body).clean), state


def test_an_outcome_that_nobody_waits_for_counts_for_its_cost_alone() -> None:
    async def go() -> None:
        step, state = step_and_state()
        loop = asyncio.get_running_loop()
        outcomes = [Outcome("m1", (Answered("m1"),), committed=loop.create_future()) for _ in range(2)]
        late = outcomes[1]
        late.settle = (Settlement("m1", 1, Spend(1, 2, 3.0), "m"),)
        late.reserve = (LedgerEntry("t1", "m1", 2, "a", "m", 0.0, Spend()),)
        late.files = {"f": None}
        for outcome in outcomes:
            step.add(outcome, state.open)
        append = step.append(state.spec, 1, "working", state)
        assert [recorded.seq for recorded in step.events] == [6]
        assert (append.settle, append.reserve, append.files) == (late.settle, (), {})
        step.tell()
        step.tell()
        assert [outcome.committed.result() for outcome in outcomes if outcome.committed] == [True, False]

    fast(go())


def test_a_refused_reservation_is_told_to_who_waits() -> None:
    async def go() -> None:
        step, state = step_and_state()
        entry = LedgerEntry("t1", "m1", 2, "a", "m", 0.0, Spend())
        waiting = Outcome("m1", (Retried("m1", 2, Failure("x", "y")),), (entry,))
        waiting.committed = asyncio.get_running_loop().create_future()
        step.add(waiting, state.open)
        assert step.refuse("unknown") == ["m1"]
        step.tell()
        assert waiting.committed.result() is False

    fast(go())


ASKS = {"input": Ask("q", "input", "?"), "auth": Ask("q", "auth", "?")}


@pytest.mark.parametrize(
    ("before", "asks", "outcome", "after"),
    [
        ("submitted", [], None, "working"),
        ("submitted", ["input"], None, "input-required"),
        ("working", ["auth"], None, "auth-required"),
        ("working", ["auth", "input"], None, "input-required"),
        ("auth-required", ["auth"], None, "auth-required"),
        ("auth-required", ["input"], None, "auth-required"),
        ("input-required", [], None, "working"),
        ("working", [], "done", "completed"),
        ("input-required", [], "canceled", "canceled"),
        ("submitted", [], "unachievable", "failed"),
    ],
)
def test_the_state_after_a_step_follows_the_table(before: State, asks: list[str], outcome: Any, after: State) -> None:
    state = BaseState(spec=order("t1", "a"))
    for index, kind in enumerate(asks):
        state.open[str(index)] = Open(ASKS[kind], 1)
    state.finished = Finished(Verdict(outcome)) if outcome else None
    assert state_after(before, state) == after


def test_a_command_of_a_workspace_waits_for_its_turn_and_starts_from_what_is_committed() -> None:
    async def go() -> None:
        world = await world_of()
        files = world.engine().services.files
        order_of: list[str] = []

        async def use(name: str, keep: bool) -> None:
            async with files.use("w") as desk:
                order_of.append(f"{name} in {sorted(path for path, _ in await desk.workspace.list())}")
                await desk.workspace.write(name, b"x")
                await asyncio.sleep(1)
                if keep:
                    files.kept(desk, await desk.workspace.changes())

        async with asyncio.TaskGroup() as group:
            group.create_task(use("a", True))
            group.create_task(use("b", False))
            group.create_task(use("c", True))
        assert order_of == ["a in []", "b in ['a']", "c in []"]
        async with files.use("w"):
            await files.forget("w")
            assert "w" in world.folders
        files.dirty("unknown")
        await files.forget("w")
        await files.forget("w")
        assert world.folders == {}

    fast(go())
