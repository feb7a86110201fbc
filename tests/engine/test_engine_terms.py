"""Tools of whoever gave the work, through the engine: over time and over crashes."""

import asyncio
from typing import Any

import msgspec
import pytest
from bundles import agent, ended, turns, until, verdict, world_of

from agenthost.core.commands import Ask
from agenthost.core.events import Asked
from agenthost.core.models import Turn
from agenthost.core.parts import TextPart
from agenthost.core.ports import InboxItem
from agenthost.core.tasks import Terms
from agenthost.core.tools import ToolSpec
from agenthost.testing.loops import fast
from agenthost.testing.world import order, says


def test_a_tool_call_that_whoever_gave_the_work_never_answers_is_over_after_a_day() -> None:
    async def go() -> None:
        world = await world_of(agent("a"))
        weather = ToolSpec("weather", "", {"type": "object"})
        seen: list[Any] = []
        world.models.players["m"] = lambda request: (
            seen.append(request)
            or (says("", ("weather", {"city": "Rome"})) if turns(request) == 0 else says("I don't know"))
        )
        engine = world.engine()
        await engine.start(alone=True)
        began = world.clock()
        await engine.create(order("t1", "a", terms=Terms(tools=(weather,))))
        await asyncio.sleep(86_000)
        assert len(seen) == 1
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert world.clock() - began == pytest.approx(86_400, abs=60)
        assert seen[1].turns[-1].error and "never said" in seen[1].turns[-1].text
        await engine.close()

    fast(go())


def test_a_tool_call_of_theirs_is_asked_once_however_often_the_host_dies() -> None:
    async def go() -> None:
        world = await world_of(agent("a"))
        weather = ToolSpec("weather", "", {"type": "object"})
        world.models.players["m"] = lambda request: (
            says("", ("weather", {}), ("look", {})) if turns(request) == 0 else says(request.turns[2].text)
        )
        engine = world.engine()
        await engine.start(alone=True)
        history = (Turn("user", (TextPart("hi"),)),)
        await engine.create(order("t1", "a", terms=Terms(history=history, tools=(weather,))))

        async def row_asks() -> bool:
            row = await world.store.task("t1")
            return row is not None and row.state == "input-required"

        for at in range(2, 5):
            await until(row_asks)
            await engine.close()
            engine = world.engine(f"e{at}")
            await engine.start(alone=True)
        body = msgspec.json.encode({"question": "m1-0", "text": "sunny", "by": "owner"})
        await engine.put(InboxItem("t1", "reply:m1-0", "reply", body, 0.0))
        await ended(world, "t1")
        asks = [e for e in world.events("t1") if isinstance(e, Asked) and isinstance(e.command, Ask)]
        assert len(asks) == 1
        await engine.close()

    fast(go())
