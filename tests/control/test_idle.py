"""A host in which nobody works: no model is called in a simulated week, and nothing is busy."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.api import Order
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.host import folder
from agenthost.host import host as hosting
from agenthost.host.conversing import listening as conversations
from agenthost.host.conversing import teller
from agenthost.host.host import Host, open_host
from agenthost.host.schedules import runner as schedules
from agenthost.host.settings import load
from agenthost.host.webhooks import deliverer
from agenthost.models.scripted import ScriptedModel
from agenthost.testing.loops import FastLoop
from agenthost.testing.world import START, Lines

WEEK = 7 * 86_400
BEAT = 900.0
"""Seconds between two looks of everything that looks now and then: the real ones are as many, and take as little."""

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: echo}
spec: {instructions: Echo., budget: {day: {turns: 2}}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {instructions: Ask., tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: pair}
spec:
  roles: {one: {agent: asker, replicas: 1}}
  steps:
    - {id: each, role: one, foreach: "['a', 'b']", prompt: "ask {{ item }}"}
"""
PLAYS = """
rules:
  - {when: {offers: ask_person, turn: 0}, reply: {calls: [{tool: ask_person, arguments: {question: "Which?"}}]}}
  - {reply: {text: done}}
"""
TOML = "[asking]\nquestions = 0\napprovals = 0\n[budgets]\nreached = 'ask'\n[retention]\nevery = 900\n"


async def asked(host: Host, task: str, questions: int = 1) -> None:
    while len((await host.task(task)).questions) < questions:
        await asyncio.sleep(1)


async def ended(host: Host, task: str) -> None:
    async for _ in host.follow(task):
        pass


def test_a_week_in_which_nobody_does_anything_calls_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    answer: Callable[..., Any] = ScriptedModel.answer

    async def counted(self: ScriptedModel, *arguments: Any) -> Any:
        calls.append(clock())
        return await answer(self, *arguments)

    def clock() -> float:
        return START + loop.time()

    async def go() -> None:
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        (home / "agenthost.toml").write_text(TOML)
        (tmp_path / "plays.yaml").write_text(PLAYS)
        environment = {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml", "AGENTHOST_SANDBOX": "bubblewrap"}
        host = await open_host(load(home, environment), work=True, log=Lines(), serving=True)
        await host.recovered()
        _, problems = await host.apply({"manifests.yaml": MANIFESTS})
        assert not problems, problems
        await ended(host, (await host.start(Order("echo", "hello"))).id)
        await ended(host, (await host.start(Order("echo", "hello"))).id)
        bounded = await host.start(Order("echo", "hello"))
        await asked(host, bounded.id)
        waiting = await host.start(Order("asker", "hello"))
        await asked(host, waiting.id)
        both = await host.start(Order("pair"))
        await asked(host, both.id, 2)
        resting = await host.start(Order("asker", "hello"))
        await asked(host, resting.id)
        await host.pause(resting.id)
        await host.reply(resting.id, "this")  # kept, and not heard before it is resumed
        cancelled = await host.start(Order("asker", "hello"))
        await asked(host, cancelled.id)
        await host.cancel(cancelled.id)
        await ended(host, cancelled.id)
        await asyncio.sleep(4 * BEAT)
        before, since, jumps = len(calls), clock(), loop.jumps
        await asyncio.sleep(WEEK)
        assert clock() - since >= WEEK
        assert len(calls) == before, "a model was called"
        looks = (loop.jumps - jumps) / (WEEK / BEAT)
        assert looks < 20, f"{looks:.1f} timers in the time of a heartbeat"
        assert set(host.engine.working()) <= {
            waiting.id,
            bounded.id,
            both.id,
            *[f"{both.id}.each-1-{n}" for n in (0, 1)],
        }
        await host.resume(resting.id)
        await ended(host, resting.id)
        assert len(calls) == before + 1
        await host.close()

    monkeypatch.setattr(hosting, "Parts", partial(Parts, clock=clock))
    monkeypatch.setattr(hosting, "EngineSettings", partial(EngineSettings, heartbeat=BEAT, lease=3 * BEAT))
    for looks in (folder, deliverer, teller, conversations, schedules):
        monkeypatch.setattr(looks, "LOOK", BEAT)
    monkeypatch.setattr(ScriptedModel, "answer", counted)
    monkeypatch.setattr(time, "time", clock)
    loop = Counting()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(go())


class Counting(FastLoop):
    """Counts how often its clock has to be moved on."""

    def __init__(self) -> None:
        super().__init__(0.000_003)
        self.jumps = 0
        selector: Any = self._selector  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        select = selector.select

        def counted(timeout: float | None = None) -> Any:
            self.jumps += timeout is not None and timeout > 0
            return select(timeout)

        selector.select = counted
