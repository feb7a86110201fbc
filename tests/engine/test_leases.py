"""Two engines on one store: who works on a task, and who takes it over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bundles import SPECS, agent, bundle, ended, plan, until, verdict, world_of

from agenthost.core.commands import Ask
from agenthost.core.errors import LostLease, Temporary
from agenthost.core.events import Asked, Claimed, Doubted, Finished, decode_event
from agenthost.core.ports import Append, InboxItem, Store
from agenthost.stores.memory import MemoryStore
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.loops import fast
from agenthost.testing.world import PlayedTool, PlayedTools, World, order, says


@asynccontextmanager
async def world_on(kind: str, folder: Path) -> AsyncIterator[World]:
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(folder / "store.db")
    await store.open()
    try:
        yield World(bundle(agent("a", tools=("send",))), store)
    finally:
        await store.close()


async def claims(world: World, task: str) -> list[str]:
    stored = await world.store.events(task)
    events = [decode_event(event.kind, event.version, event.body) for event in stored]
    return [event.owner for event in events if isinstance(event, Claimed)]


async def die(engine: Any) -> None:
    """End an engine as a crash does: its lease stands."""
    await engine.services.supervisor.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_tasks_of_a_dead_engine_are_taken_over_when_its_lease_is_over_and_not_before(kind: str, tmp_path: Path) -> None:
    async def go() -> None:
        async with world_on(kind, tmp_path) as world:
            world.models.players["m"] = plan(says("", ("send", {})))
            sent: list[str] = []

            async def sends(arguments: Any, context: Any) -> str:
                sent.append(context.key)
                await asyncio.Event().wait()
                return "sent"

            world.tools = PlayedTools([PlayedTool(SPECS["send"], sends)])
            first, second = world.engine("e1"), world.engine("e2")
            assert await first.start(alone=False) == await second.start(alone=False) == 0
            await first.create(order("t1", "a"))
            await until(lambda: sent)
            # The other one is asked to work on it, and leaves it to its owner.
            second.submit("t1")
            await until(lambda: not second.working())
            await asyncio.sleep(3 * world.settings.lease)
            assert first.working() == ["t1"] and second.working() == []
            await die(first)
            died = world.clock()
            await until(lambda: second.working())
            assert world.settings.lease - world.settings.heartbeat <= world.clock() - died
            assert world.clock() - died <= world.settings.lease + 2 * world.settings.heartbeat
            asked = await until(lambda: [e.command for e in world.events("t1") if isinstance(e, Asked)][2:])
            assert isinstance(asked[0], Ask) and asked[0].kind == "doubt" and sent == ["t1/m1-0"]
            assert await claims(world, "t1") == ["e1", "e2"]
            await second.close()

    fast(go(), patience=0.03 if kind == "sqlite" else 0.0)


def test_an_owner_whose_epoch_has_moved_adds_nothing_and_stops_performing() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("send", "look")))
        world.models.players["m"] = plan(says("", ("send", {}), ("look", {})))
        stopped: list[str] = []

        async def sends(arguments: Any, context: Any) -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.append(context.key)
                raise
            return "sent"

        async def looks(arguments: Any, context: Any) -> str:
            await asyncio.sleep(5)
            return "seen"

        world.tools = PlayedTools([PlayedTool(SPECS["send"], sends), PlayedTool(SPECS["look"], looks)])
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await asyncio.sleep(1)
        await world.store.retire("other", world.clock())
        await world.store.claim("t1", "other", world.clock())
        before = await world.store.events("t1")
        await until(lambda: not engine.working())
        assert stopped == ["t1/m1-0"]
        assert await world.store.events("t1") == before
        await engine.close()

    fast(go())


class Sluggish(MemoryStore):
    """A store that doesn't take heartbeats of e1 for a while."""

    deaf = False

    async def heartbeat(self, owner: str, until: float) -> None:
        if self.deaf and owner == "e1":
            raise Temporary("busy")
        await super().heartbeat(owner, until)


def test_an_engine_whose_heartbeats_were_late_drops_what_was_taken_over_meanwhile() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("send",)))
        store = world.store = Sluggish()
        await store.open()
        world.models.players["m"] = plan(says("", ("send", {})))
        going: list[str] = []

        async def sends(arguments: Any, context: Any) -> str:
            going.append(context.key)
            try:
                await asyncio.Event().wait()
            finally:
                going.remove(context.key)
            return "sent"

        world.tools = PlayedTools([PlayedTool(SPECS["send"], sends)])
        first, second = world.engine("e1"), world.engine("e2")
        await first.start(alone=False)
        await second.start(alone=False)
        await first.create(order("t1", "a"))
        await first.create(order("t2", "a"))
        await until(lambda: len(going) == 2)
        store.deaf = True
        await until(lambda: len(second.working()) == 2)
        assert len(going) == 2 and len(first.working()) == 2
        store.deaf = False
        await until(lambda: not first.working())
        assert going == []
        assert sum(isinstance(event, Doubted) for event in world.events("t1")) == 1
        await first.close()
        await second.close()

    fast(go())


def test_a_child_that_another_engine_works_on_ends_with_its_parent() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("delegate:b",)), agent("b"))
        hanging = asyncio.Event()

        async def play(request: Any) -> Any:
            if request.metadata["agent"] == "a":
                return says("", ("delegate_to_b", {"task": "x"}))
            hanging.set()
            await asyncio.Event().wait()

        world.models.players["m"] = play
        first, second = world.engine("e1"), world.engine("e2")
        await first.start(alone=False)
        await second.start(alone=False)
        await first.create(order("t1", "a"))
        await hanging.wait()
        child = "t1.m1-0"
        row = await world.store.task(child)
        assert row is not None
        # Its epoch moves: the next thing that the first engine writes for it fails.
        store = world.store
        assert isinstance(store, MemoryStore)
        tables = store.snapshot()
        tables.tasks[child] = msgspec.structs.replace(row, owner="")
        store.restore(tables)
        second.submit(child)
        await until(lambda: child in second.working())
        body = msgspec.json.encode({"by": "me"})
        await first.put(InboxItem("t1", "c", "cancel", body, 0.0))
        await asyncio.sleep(1)
        second.submit(child)
        found = await ended(world, "t1", child)
        assert found["t1"].verdict.outcome == found[child].verdict.outcome == "canceled"
        await first.close()
        await second.close()

    fast(go())


def test_a_new_engine_that_holds_the_home_alone_goes_on_at_once() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = lambda request: asyncio.sleep(1000, says("done"))
        first = world.engine("e1")
        await first.start(alone=True)
        await first.create(order("t1", "a"))
        await asyncio.sleep(1)
        await die(first)
        world.models.players["m"] = plan()
        second = world.engine("e2")
        began = world.clock()
        assert await second.start(alone=True) == 1
        assert (await verdict(world, second, "t1")).outcome == "done"
        assert world.clock() - began < 1
        entries = await world.store.ledger("t1")
        assert [(entry.attempt, entry.settled) for entry in entries] == [(1, False), (2, True)]
        await second.close()
        # What has ended is left alone.
        second.submit("t1")
        assert second.working() == []

    fast(go())


class Forgetful(MemoryStore):
    """A store in which a task is lost to somebody else at its last commit."""

    async def append(self, batch: Append) -> None:
        if batch.state == "completed":
            raise LostLease("somebody else has it")
        await super().append(batch)


def test_a_task_that_is_lost_at_its_end_is_not_held() -> None:
    async def go() -> None:
        world = await world_of()
        store = world.store = Forgetful()
        await store.open()
        world.models.players["m"] = plan()
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: not engine.working())
        row = await store.task("t1")
        assert row is not None and (row.state, row.hold) == ("working", "")
        assert not any(isinstance(event, Finished) for event in world.events("t1"))
        await engine.close()

    fast(go())
