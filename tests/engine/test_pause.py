"""Tasks that rest and go on: nothing is begun meanwhile, nothing is lost, nothing is paid for twice."""

import asyncio
from typing import Any

import msgspec
import pytest
from bundles import agent, ended, plan, until, verdict, world_of
from crashes import Mortal, survive
from test_crash import SCENARIOS

from agenthost.core.commands import Ask, CallModel
from agenthost.core.errors import Temporary
from agenthost.core.events import Answered, Asked, Claimed, Event, Finished, Paused, Received, Resumed
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.parts import text_message
from agenthost.core.ports import InboxItem
from agenthost.engine.engine import Engine
from agenthost.testing.loops import fast
from agenthost.testing.world import World, order, says


async def pause(world: World, engine: Engine, task: str, hold: str = "paused") -> None:
    """As a person has it rest, or (with an empty hold) go on."""
    kind = "pause" if hold else "resume"
    item = InboxItem(task, f"{kind}:{world.clock()}", kind, b'{"by":"ann","reason":"lunch"}', world.clock())
    if hold:
        await world.store.hold(task, hold, "paused by ann")
    await engine.put(item)
    if not hold:
        await world.store.hold(task, "", "")
        engine.submit(task)


async def rested(world: World, engine: Engine, task: str) -> None:
    await until(lambda: task not in engine.working() and isinstance(world.events(task)[-1], Paused))


def kinds(world: World, task: str, *wanted: type[Event]) -> list[type[Event]]:
    return [type(event) for event in world.events(task) if isinstance(event, wanted)]


def test_what_is_under_way_ends_nothing_new_begins_and_the_slot_is_free_meanwhile() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("look",)))
        reached, answer = asyncio.Event(), asyncio.Event()

        async def play(request: ModelRequest) -> ModelAnswer:
            if request.metadata["task"] == "t2":
                return says("other")
            reached.set()
            await answer.wait()
            return says("", ("look", {})) if len(request.turns) == 1 else says("done")

        world.models.players["m"] = play
        world.settings = msgspec.structs.replace(world.settings, tasks=1)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await reached.wait()
        await pause(world, engine, "t1")
        await asyncio.sleep(60)
        assert engine.working() == ["t1"], "a call that is paid for is waited for"
        answer.set()
        await rested(world, engine, "t1")
        assert kinds(world, "t1", Asked, Answered, Paused) == [Asked, Answered, Paused]
        await engine.create(order("t2", "a"))
        await ended(world, "t2")
        await asyncio.sleep(86_400)
        assert not any(isinstance(event, Resumed) for event in world.events("t1"))
        await pause(world, engine, "t1", "")
        assert (await verdict(world, engine, "t1")).outcome == "done"
        entries = await world.store.ledger("t1")
        assert [entry.settled for entry in entries] == [True, True]
        await engine.close()

    fast(go())


def test_it_rests_over_a_restart_and_keeps_what_is_said_meanwhile() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("ask",)))
        world.models.players["m"] = plan(says("", ("ask_person", {"question": "which?"})))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: any(isinstance(e, Asked) and isinstance(e.command, Ask) for e in world.events("t1")))
        await pause(world, engine, "t1")
        await rested(world, engine, "t1")
        await engine.close()
        engine = world.engine("e2")
        assert await engine.start(alone=True) == 0
        body = msgspec.json.encode({"question": "m1-0", "text": "this"})
        await engine.put(InboxItem("t1", "r", "reply", body, world.clock()))
        said = msgspec.json.encode(text_message("person", "and quick"))
        await engine.put(InboxItem("t1", "m", "message", said, world.clock()))
        await asyncio.sleep(3600)
        assert isinstance(world.events("t1")[-1], Paused)
        await pause(world, engine, "t1", "")
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert kinds(world, "t1", Paused, Answered, Received, Resumed)[-4:] == [Answered, Received, Resumed, Answered]
        await engine.close()

    fast(go())


def test_a_wait_for_a_busy_provider_is_left_and_the_call_made_under_the_same_reservation() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=()))
        tries: list[float] = []

        def play(request: ModelRequest) -> ModelAnswer:
            tries.append(world.clock())
            if len(tries) == 1:
                raise Temporary("busy", code="overloaded", delay=200.0)
            return says("done")

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: tries)
        await asyncio.sleep(1)
        await pause(world, engine, "t1")
        await rested(world, engine, "t1")
        assert world.clock() < tries[0] + 10, "nobody waits for the provider"
        await asyncio.sleep(3600)
        assert len(tries) == 1
        await pause(world, engine, "t1", "")
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert [(entry.attempt, entry.settled) for entry in await world.store.ledger("t1")] == [(1, True)]
        await engine.close()

    fast(go())


def test_it_may_be_resumed_while_it_comes_to_rest() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("look",)), agent("b"))
        answer, tries = asyncio.Event(), list[str]()

        async def play(request: ModelRequest) -> ModelAnswer:
            tries.append(request.key)
            if len(tries) == 1:
                raise Temporary("busy", code="overloaded", delay=100.0)
            await answer.wait()
            return says("done")

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: tries)
        # Its wait is left at once; both are in the mail before anybody looks.
        for kind in ("pause", "resume"):
            await world.store.put(InboxItem("t1", kind, kind, b'{"by":"ann"}', world.clock()))
        engine.submit("t1")
        answer.set()
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert kinds(world, "t1", Paused, Resumed, Claimed) == [Claimed, Paused, Resumed]
        await engine.close()

    fast(go())


def test_a_question_and_a_time_budget_wait_as_much_longer_as_the_task_rested() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("ask",), budget={"duration": "10m"}))
        world.models.players["m"] = plan(says("", ("ask_person", {"question": "which?"})))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: any(isinstance(e, Asked) and isinstance(e.command, Ask) for e in world.events("t1")))
        began = world.clock()
        await pause(world, engine, "t1")
        await rested(world, engine, "t1")
        await asyncio.sleep(10 * 3600)
        await pause(world, engine, "t1", "")
        found = await ended(world, "t1")
        assert found["t1"].verdict.code == "budget"
        assert 36_500 < world.clock() - began < 36_700
        await engine.close()

    fast(go())


def test_a_whole_tree_rests_children_that_are_made_meanwhile_too_and_a_cancel_ends_it() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("delegate:b",)), agent("b", tools=()))
        hear = asyncio.Event()

        async def play(request: ModelRequest) -> ModelAnswer:
            if request.metadata["agent"] == "a":
                return says("", ("delegate_to_b", {"task": "x"}), ("delegate_to_b", {"task": "y"}))
            await hear.wait()
            return says("b")

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        children = ["t1.m1-0", "t1.m1-1"]
        await until(lambda: all(kinds(world, child, Asked) for child in children))
        await pause(world, engine, "t1")  # the root alone: what is below it follows
        hear.set()
        for task in ("t1", *children):
            await rested(world, engine, task)
        assert not engine.working()
        calls = sum(isinstance(e.event, Asked) and isinstance(e.event.command, CallModel) for e in world.recorded)
        await engine.put(InboxItem("t1", "c", "cancel", b'{"by":"ann"}', world.clock()))
        assert (await verdict(world, engine, "t1")).outcome == "canceled"
        assert [e.task for e in world.recorded if isinstance(e.event, Finished)][-1] == "t1"
        for child in children:
            row = await world.store.task(child)
            assert row is not None and (row.state, row.hold) == ("canceled", "")
        assert calls == sum(
            isinstance(e.event, Asked) and isinstance(e.event.command, CallModel) for e in world.recorded
        )
        await engine.close()

    fast(go())


def test_one_that_waits_for_a_slot_rests_without_one() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=()))
        hear = asyncio.Event()

        async def play(request: ModelRequest) -> ModelAnswer:
            await hear.wait()
            return says("done")

        world.models.players["m"] = play
        world.settings = msgspec.structs.replace(world.settings, tasks=1)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await engine.create(order("t2", "a"))
        await pause(world, engine, "t2")
        await until(lambda: engine.working() == ["t1"])
        hear.set()
        await ended(world, "t1")
        await asyncio.sleep(60)
        assert not kinds(world, "t2", Asked)
        await pause(world, engine, "t2", "")
        assert (await verdict(world, engine, "t2")).outcome == "done"
        await engine.close()

    fast(go())


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_pause_at_any_commit_changes_nothing_of_what_comes_out(name: str) -> None:
    make, specs = SCENARIOS[name]
    plain = fast(survive(make, specs, []))

    async def paused(at: int, again: int) -> Mortal:
        mortal = await make()
        mortal.pauses = [at, at + again]
        return mortal

    rests = 0
    for at in range(1, plain.commits, 2):
        mortal = fast(survive(lambda at=at: paused(at, 9), specs, []))
        rests += sum(isinstance(each.event, Paused) for each in mortal.world.recorded)
        if not mortal.trouble and not mortal.cancels:
            assert sorted(mortal.effects) == sorted(plain.effects)
            # A clean rest costs nothing: no attempt is cut.
            assert all(entry.settled for entry in mortal.store.snapshot().ledger.values())
    assert rests >= plain.commits // 4


@pytest.mark.parametrize("name", ["tools", "family", "flow"])
def test_a_host_that_dies_while_tasks_come_to_rest_loses_nothing(name: str) -> None:
    make, specs = SCENARIOS[name]
    plain = fast(survive(make, specs, []))

    async def paused(at: int) -> Any:
        mortal = await make()
        mortal.pauses = [at]
        return mortal

    for at in range(2, plain.commits, 5):
        for later in (1, 2, 4, 7):
            fast(survive(lambda at=at: paused(at), specs, [2 * at + later]))
