"""The crash rule where code has a network, and what a command tells while it goes on."""

import asyncio
from typing import Any

import pytest
from bundles import SPECS, agent, ended, plan, until, world_of

from agenthost.core.commands import Ask, RunCommand
from agenthost.core.events import Answered, Asked, Started
from agenthost.core.models import Delta
from agenthost.core.ports import InboxItem
from agenthost.core.sandboxes import SandboxOutcome
from agenthost.testing.loops import fast
from agenthost.testing.world import PlayedTool, PlayedTools, World, order, says

GRANTED = {"network": "granted", "hosts": ["api.example.com"]}


async def tool_world(sandbox: dict[str, Any]) -> World:
    """An agent whose model has `curl` run in its sandbox."""
    world = await world_of(agent("a", tools=("run",), sandbox=sandbox))
    world.models.players["m"] = plan(says("", ("run", {})))

    async def runs(arguments: Any, context: Any) -> str:
        return str((await context.run("curl")).exit_code)

    world.tools = PlayedTools([PlayedTool(SPECS["run"], runs)])
    return world


async def check_world(sandbox: dict[str, Any]) -> World:
    """An agent whose check runs `curl`."""
    checks = {"rule": "checks", "checks": [{"run": "curl"}]}
    world = await world_of(agent("a", tools=(), sandbox=sandbox, completion=checks))
    world.models.players["m"] = plan(says("done"))
    return world


async def step_world(sandbox: dict[str, Any]) -> World:
    """A workflow with a step that runs `curl`."""
    return await world_of(flows={"w": {"steps": [{"id": "one", "command": "curl"}], "sandbox": sandbox}})


WORLDS = {"tool": tool_world, "check": check_world, "step": step_world}


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("hosts", [True, False])
def test_what_was_under_way_with_a_network_is_not_repeated_without_asking(kind: str, hosts: bool) -> None:
    async def go() -> None:
        world = await WORLDS[kind](GRANTED if hosts else {})
        runs: list[str] = []
        hangs = True

        async def shell(line: str) -> int:
            runs.append(line)
            if hangs:
                await asyncio.Event().wait()
            return 0

        world.shell = lambda line, content: shell(line)
        engine = world.engine("e1")
        await engine.start(alone=True)
        await engine.create(order("t1", "w" if kind == "step" else "a", "workflow" if kind == "step" else "agent"))
        await until(lambda: runs)
        assert any(isinstance(event, Started) for event in world.events("t1")) is hosts  # before it was performed
        hangs = False
        await engine.services.supervisor.close()  # it dies
        engine = world.engine("e2")
        await engine.start(alone=True)
        if hosts:

            def doubts() -> list[Ask]:
                asked = [event.command for event in world.events("t1") if isinstance(event, Asked)]
                return [command for command in asked if isinstance(command, Ask)]

            question = (await until(doubts))[0]
            assert question.kind == "doubt"
            await asyncio.sleep(5)
            assert runs == ["curl"]
            body = f'{{"question": "{question.id}", "text": "{question.options[0]}"}}'.encode()
            await engine.put(InboxItem("t1", "r", "reply", body, 0.0))
        await ended(world, "t1")
        assert len(runs) <= 2
        assert hosts or runs == ["curl", "curl"]
        await engine.close()

    fast(go())


def test_what_a_sandbox_tells_reaches_those_who_follow() -> None:
    async def go() -> None:
        world = await step_world({})
        engine = world.engine("e1")
        sandbox: Any = engine.services.parts.sandbox
        played = sandbox.run

        async def run(run: Any, tell: Any) -> SandboxOutcome:
            tell("waits for memory")
            return await played(run, tell)

        sandbox.run = run
        await engine.start(alone=True)
        follower = engine.services.bus.follow("t1")
        await engine.create(order("t1", "w", "workflow"))
        await ended(world, "t1")
        notices = [(item.command, item.delta) for item in follower.items if hasattr(item, "delta")]
        assert notices == [("one-1", Delta(notice="waits for memory"))]
        asked = [event.command for event in world.events("t1") if isinstance(event, Asked)]
        assert [command.network for command in asked if isinstance(command, RunCommand)] == [False]
        assert any(isinstance(event, Answered) for event in world.events("t1"))
        await engine.close()

    fast(go())
