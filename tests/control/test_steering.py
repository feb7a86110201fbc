"""A message into a running task is seen at its next step, wherever the task is then."""

import asyncio
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.commands import Ask, CallModel, CallTool, RunCommand, StartChild
from agenthost.core.events import Asked, Event, Received, Retried
from agenthost.core.parts import text_message, text_of
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: helper}
spec: {instructions: Help., tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: lead}
spec: {instructions: Lead., tools: ["delegate:helper", ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  roles: {one: {agent: helper}, two: {agent: teller}}
  steps:
    - {id: first, role: one, prompt: begin}
    - {id: second, role: two, prompt: go on}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: teller}
spec: {instructions: Tell.}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writes}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: retries}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: looks}
spec: {tools: [dawdle]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: shells}
spec: {tools: [workspace]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: approved}
spec: {tools: [dawdle], approvals: {tools: [dawdle]}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: steps}
spec:
  roles: {two: {agent: teller}}
  steps:
    - {id: first, command: sleep 0.4}
    - {id: second, role: two, needs: [first], prompt: go on}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: gates}
spec:
  roles: {two: {agent: teller}}
  steps:
    - {id: first, tool: dawdle}
    - {id: second, role: two, needs: [first], prompt: go on}
"""
PLAYS = """
rules:
  - {when: {agent: helper, turn: 0}, reply: {calls: [{tool: ask_person, arguments: {question: "Which?"}}]}}
  - when: {agent: lead, turn: 0}
    reply:
      calls:
        - {tool: delegate_to_helper, arguments: {task: help}}
        - {tool: ask_person, arguments: {question: "May I?"}}
  - {when: {agent: writes, turn: 0}, reply: {text: "first", delay: 0.4}}
  - {when: {agent: retries, turn: 0, says: hello}, fail: {kind: overloaded, retry: 0.4, times: 1}, reply: {text: "first"}}
  - {when: {agent: looks, turn: 0}, reply: {calls: [{tool: dawdle, arguments: {}}]}}
  - {when: {agent: approved, turn: 0}, reply: {calls: [{tool: dawdle, arguments: {}}]}}
  - {when: {agent: shells, turn: 0}, reply: {calls: [{tool: run, arguments: {command: sleep 0.4}}]}}
  - {when: {anywhere: french}, reply: {text: "heard: in french"}}
  - {when: {says: french}, reply: {text: "heard: {{said}}"}}
  - {reply: {text: not heard}}
"""


async def opened(home: Path) -> Host:
    home.mkdir(mode=0o700)
    (home / "plays.yaml").write_text(PLAYS)
    (home / "agenthost.toml").write_text('[tools]\ndawdle = "tests.control.runs:dawdle"\n')
    environment = {"AGENTHOST_MODEL": f"scripted:{home}/plays.yaml", "AGENTHOST_SANDBOX": "bubblewrap"}
    host = await open_host(load(home, environment), work=True)
    _, problems = await host.apply({"manifests.yaml": MANIFESTS})
    assert not problems, problems
    return host


async def asks(host: Host, task: str, count: int = 1) -> list[str]:
    """Where the questions are that a tree asks, once there are so many."""
    while len(found := (await host.task(task)).questions) < count:
        await asyncio.sleep(0.01)
    return sorted(f"{question.task}/{question.ask.id}" for question in found)


async def came_out(host: Host, task: str) -> str:
    async for _ in host.follow(task):
        pass
    return text_of((await host.events_of(task))[-1].event.parts)  # type: ignore[union-attr]


@pytest.mark.parametrize("while_", ["a child works", "a call waits"])
async def test_an_agent_hears_it_once_its_calls_have_their_results(tmp_path: Path, while_: str) -> None:
    host = await opened(tmp_path / "home")
    try:
        row = await host.start(Order("lead", "hello"))
        own, childs = await asks(host, row.id, 2)
        if own.startswith(f"{row.id}."):
            own, childs = childs, own
        first, last = (own, childs) if while_ == "a child works" else (childs, own)
        await host.reply(row.id, "yes", first)
        await asks(host, row.id, 1)
        await host.say(row.id, text_message("ann", "in french"))
        await host.reply(row.id, "yes", last)
        assert "in french" in await came_out(host, row.id)
        ledger = [entry.command for entry in await host.ledger(row.id) if entry.task == row.id]
        assert ledger == ["m1", "m2"], "at the very next step"
    finally:
        await host.close()


async def test_a_workflows_runs_hear_it_those_that_go_on_and_those_that_begin_after_it(tmp_path: Path) -> None:
    host = await opened(tmp_path / "home")
    try:
        row = await host.start(Order("flow"))
        (asked,) = await asks(host, row.id)
        message = text_message("ann", "in french")
        await host.say(row.id, message)
        await host.reply(row.id, "yes", asked)
        assert "in french" in await came_out(host, row.id)
        child = asked.partition("/")[0]
        assert sum(isinstance(each.event, Received) for each in await host.events_of(child)) == 1
        begun = [each.event.command for each in await host.events_of(row.id) if isinstance(each.event, Asked)]
        first, second = (command for command in begun if isinstance(command, StartChild))
        assert text_of(first.parts) == "begin"
        assert "While this work went on, ann said:" in text_of(second.parts)
        assert (await host.replay(row.id))[0].agrees
    finally:
        await host.close()


STEPS = ("writes", "retries", "looks", "shells", "approved", "steps", "gates")


async def test_it_is_heard_at_the_next_step_whatever_kind_of_step_goes_on(tmp_path: Path) -> None:
    """A model call, a wait to make it again, a tool's call, a command, an approval, a workflow's command and its tool."""
    host = await opened(tmp_path / "home")
    try:
        async with asyncio.TaskGroup() as group:
            for name in STEPS:
                group.create_task(_heard_next(host, name))
    finally:
        await host.close()


async def _heard_next(host: Host, name: str) -> None:
    flow = name in ("steps", "gates")
    row = await host.start(Order(name, "" if flow else "hello"))
    under_way = Retried if name == "retries" else Asked
    while not [each for each in await host.events_of(row.id) if _is_work(each.event, under_way, name)]:
        await asyncio.sleep(0.005)
    await host.say(row.id, text_message("ann", "in french"))
    if name == "approved":
        (asked,) = await asks(host, row.id)
        await host.reply(row.id, "approve", asked)
    assert "in french" in await came_out(host, row.id), name
    events = [each.event for each in await host.events_of(row.id)]
    calls = [each.command for each in events if isinstance(each, Asked) and isinstance(each.command, CallModel)]
    # It is heard by the very next call: nothing is asked of a model in between.
    assert len(calls) == (0 if flow else 2), name
    assert (await host.replay(row.id))[0].agrees


def _is_work(event: Event, kind: type[Event], name: str) -> bool:
    if not isinstance(event, kind) or kind is Retried:
        return isinstance(event, kind)
    assert isinstance(event, Asked)
    wanted = {"writes": CallModel, "approved": Ask, "steps": RunCommand}.get(name, CallTool)
    return isinstance(event.command, wanted)


async def test_what_is_said_while_a_task_rests_is_heard_once_it_goes_on(tmp_path: Path) -> None:
    host = await opened(tmp_path / "home")
    try:
        row = await host.start(Order("looks", "hello"))
        while not [each for each in await host.events_of(row.id) if _is_work(each.event, Asked, "looks")]:
            await asyncio.sleep(0.005)
        await host.pause(row.id)
        await host.say(row.id, text_message("ann", "in french"))
        while row.id in host.engine.working():
            await asyncio.sleep(0.01)
        await host.resume(row.id)
        assert "in french" in await came_out(host, row.id)
    finally:
        await host.close()
