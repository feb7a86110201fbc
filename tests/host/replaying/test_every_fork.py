"""Each fork at each event of tasks of all kinds goes on, or says why it can't; and what came of it replays the same."""

import asyncio
from pathlib import Path

import pytest

from agenthost.core.api import Incoming, Order
from agenthost.core.errors import Conflict, Unusable
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import text_message
from agenthost.core.replaying import ForkOrder
from agenthost.host.host import Host
from tests.recordings.make import opened

MORE = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: spender}
spec: {description: Spends, instructions: Spend., tools: [note, send], budget: {turns: 2, reached: ask}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: short}
spec: {description: Ends early, instructions: Spend., tools: [note, send], budget: {turns: 2}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: careful}
spec:
  description: Asks first, one by one, goes back once
  roles: {one: {agent: prover}, two: {agent: leader}}
  steps:
    - {id: each, role: two, needs: [], foreach: "[1, 2]", prompt: "go {{ item }}", approve: {message: "May it begin?"}}
    - {id: checked, needs: [each], role: one, prompt: "prove it"}
    - {id: look, needs: [checked], check: {file: {path: b.txt, pattern: "sum"}}, onFail: {goto: checked, max: 1}}
  output: "{{ steps.checked.text }}"
"""
ANSWERS = {"approval": "approve", "doubt": "run it again", "input": "red"}


async def ended(host: Host, task: str) -> str:
    """Its outcome, once it has ended; whoever is asked agrees."""
    for _ in range(1500):
        detail = await host.task(task)
        if detail.row.state in FINAL:
            return detail.row.outcome
        for open in detail.questions:
            try:
                await host.reply(task, ANSWERS.get(open.ask.kind, "ok"), f"{open.task}/{open.ask.id}")
            except Conflict:
                continue  # it had its answer a moment ago
        await asyncio.sleep(0.002)
    raise AssertionError(f"{task} doesn't end: {(await host.task(task)).row}")


async def started(host: Host, kind: str) -> str:
    """A task of a kind, ended."""
    match kind:
        case "cancelled":
            task = (await host.start(Order("worker", "ask"))).id
            await host.cancel(task, reason="enough")
        case "steered":
            task = (await host.start(Order("worker", "ask"))).id
            await host.say(task, text_message("person", "hurry"))
        case "paused":
            task = (await host.start(Order("worker", "go"))).id
            await host.pause(task)
            await asyncio.sleep(0.05)
            if (await host.task(task)).row.hold:
                await host.resume(task)
        case "moved":
            before = await host.place(Incoming("pay", name="worker", conversation="web:1", key="m1"))
            other = await host.place(Incoming("ask", name="worker", conversation="web:2", key="m2"))
            assert before.task is not None and other.task is not None
            task = (await host.conversing.move(other.line, before.task.id)).line.task
            await ended(host, other.task.id)
        case "scheduled":
            notes = {"schedule": {"id": "s1", "name": "tea", "due": 1.0}}
            order = Order("worker", "go", via="schedule:s1", notes=notes, conversation="kitchen", key="s1:1")
            task = (await host.start(order)).id
        case "fork":
            task = (await host.fork(await started(host, "agent"), ForkOrder(text="once more"))).id
        case "careful" | "relay":
            task = (await host.start(Order(kind, "go", inputs={"topic": "tea"} if kind == "relay" else {}))).id
        case _:
            name, text = {
                "agent": ("worker", "go"),
                "approval": ("worker", "pay"),
                "question": ("worker", "ask"),
                "delegation": ("leader", "go"),
                "supervisor": ("prover", "prove it"),
                "budget that ends it": ("short", "go"),
                "budget that asks": ("spender", "go"),
            }[kind]
            task = (await host.start(Order(name, text))).id
    await ended(host, task)
    return task


KINDS = (
    "agent",
    "approval",
    "question",
    "delegation",
    "supervisor",
    "budget that ends it",
    "budget that asks",
    "cancelled",
    "steered",
    "paused",
    "moved",
    "scheduled",
    "fork",
    "relay",
    "careful",
)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_fork_at_each_event_goes_on_and_replays_the_same(tmp_path: Path, kind: str) -> None:
    host = await opened(tmp_path)
    try:
        _, problems = await host.apply({"more.yaml": MORE})
        assert not problems
        task = await started(host, kind)
        tree = [task, *(row.id for row in (await host.task(task)).children)]
        for each in tree:
            count = len(await host.events_of(each))
            for at in range(1, count):
                try:
                    fork = (await host.fork(each, ForkOrder(at))).id
                except Unusable as error:
                    raise AssertionError(f"{each} at {at}: {error.message}") from error
                assert await ended(host, fork), at
                wrong = [report for report in await host.replay(fork) if not report.agrees]
                assert not wrong, (each, at, wrong)
    finally:
        await host.close()
