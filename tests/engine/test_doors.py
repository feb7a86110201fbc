"""Nothing that is brought to a task is left unread when it ends."""

import asyncio

import msgspec
from bundles import agent, turns, world_of

from agenthost.core.events import Finished, Received
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.parts import text_message
from agenthost.core.ports import InboxItem
from agenthost.engine.doors import Doors
from agenthost.testing.loops import fast
from agenthost.testing.world import order, says


def test_whoever_comes_to_a_task_that_is_about_to_end_waits() -> None:
    async def run() -> list[str]:
        doors, seen = Doors(), list[str]()

        async def bring(name: str, steps: int) -> None:
            async with doors.bring("t"):
                await asyncio.sleep(steps)
                seen.append(name)

        async def end() -> None:
            await asyncio.sleep(0.5)
            await doors.shut("t")
            seen.append("shut")
            await asyncio.sleep(2)
            seen.append("ended")
            doors.open("t")

        async def late() -> None:
            await asyncio.sleep(1)
            await bring("late", 0)

        await asyncio.gather(bring("early", 2), end(), late())
        return seen

    assert fast(run()) == ["early", "shut", "ended", "late"]


def test_a_message_that_nobody_has_told_the_owner_of_is_seen_before_the_end() -> None:
    async def run() -> None:
        world = await world_of(agent("a"))

        async def play(request: ModelRequest) -> ModelAnswer:
            await asyncio.sleep(1)
            return says(f"done {turns(request)}")

        world.models.players["m"] = play
        store = world.store
        put = store.put

        async def slow(item: InboxItem) -> bool:
            taken = await put(item)
            await asyncio.sleep(5)  # it is there, and whoever brought it has not heard so yet
            return taken

        store.put = slow  # type: ignore[method-assign]
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await asyncio.sleep(0.5)
        body = msgspec.json.encode(text_message("person", "one thing more"))
        asking = engine.services.supervisor.start("says", engine.put(InboxItem("t1", "message:1", "message", body, 0)))
        await asyncio.sleep(0.1)
        asking.cancel()  # and hangs up
        while True:
            row = await store.task("t1")
            assert row is not None
            if row.state in FINAL:
                break
            await asyncio.sleep(0.1)
        events = world.events("t1")
        assert [isinstance(event, Received) for event in events].count(True) == 1
        assert isinstance(events[-1], Finished)
        await engine.close()

    fast(run())
