"""Every budget that can be given: turns, tokens, money and time, of a task, an agent, a person and a day of all; each ends or asks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.budgets import Spend, day_account
from agenthost.core.lifecycle import FINAL
from agenthost.core.tasks import TaskRow
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

KINDS = {"turns": "3", "tokens": "2000", "cost": "0.009", "duration": "0.4"}
"""Each has room for some of the turns of one task, and for none of the others'."""
WHOSE = ("task", "agent", "person", "namespace", "host")
SETTINGS = """
[models]
default = "priced"
[models.names.priced]
model = "scripted:PLAYS"
card = {input_price = 5.0, output_price = 10.0, window = 20000, max_output = 300}
[tools]
look = "tests.control.runs:look"
[budgets]
reached = "REACHED"
"""
PLAYS = """
rules:
  - {when: {says: last}, reply: {text: "It is done."}}
  - {reply: {delay: 0.06, calls: [{tool: look, arguments: {}}]}}
"""
MANIFEST = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: clerk}
spec: {description: Works, instructions: Work., tools: [look], maxOutputTokens: 300, budget: {TASK reached: REACHED, day: {DAY}}}
"""


@asynccontextmanager
async def bounded(folder: Path, kind: str, whose: str, reached: str) -> AsyncGenerator[Host]:
    limit = f"{kind}: {KINDS[kind]}{'s' if kind == 'duration' else ' USD' if kind == 'cost' else ''}"
    (folder / "plays.yaml").write_text(PLAYS)
    home = folder / "home"
    home.mkdir(mode=0o700)
    settings = SETTINGS.replace("PLAYS", f"{folder}/plays.yaml").replace("REACHED", reached)
    if whose in ("person", "namespace", "host"):
        settings += f"{whose} = {{{kind} = {KINDS[kind]}}}\n"
    (home / "agenthost.toml").write_text(settings)
    host = await open_host(load(home), work=True)
    manifest = MANIFEST.replace("REACHED", reached)
    manifest = manifest.replace("TASK", f"{limit}," if whose == "task" else "").replace(
        "DAY", limit if whose == "agent" else ""
    )
    try:
        _, problems = await host.apply({"a.yaml": manifest})
        assert not problems, problems
        yield host
    finally:
        await host.close()


async def ended(host: Host, task: str) -> TaskRow:
    async with asyncio.timeout(30):
        while (row := (await host.task(task)).row).state not in FINAL:
            await asyncio.sleep(0.005)
    return row


async def asks(host: Host, task: str) -> str:
    async with asyncio.timeout(30):
        while not (questions := (await host.task(task)).questions):
            assert (await host.task(task)).row.state not in FINAL
            await asyncio.sleep(0.005)
    return questions[0].ask.question


def within(kind: str, spent: Spend) -> bool:
    # One call may begin while there is time, and is let end.
    return {
        "turns": 0 < spent.turns <= 3,
        "tokens": 0 < spent.tokens <= 2000,
        "cost": 0 < spent.cost <= 0.009,
        "duration": spent.seconds >= 0.4,
    }[kind]


async def account(host: Host, whose: str, task: str) -> Spend:
    day, _, _ = host.library.allowances.day((await host.task(task)).row.created)
    subject = {"agent": "agent/default/clerk", "person": "person/default/owner", "namespace": "namespace/default"}
    name = task if whose == "task" else day_account(day, subject.get(whose, whose))
    return await host.engine.services.parts.store.spent(name)


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_budget_that_is_reached_ends_the_task_and_was_never_gone_beyond(
    tmp_path: Path, kind: str, whose: str
) -> None:
    async with bounded(tmp_path, kind, whose, "end") as host:
        row = await ended(host, (await host.start(Order("clerk", "work"))).id)
        assert (row.state, row.outcome) == ("failed", "partly")
        assert "budget" in row.reason
        if not (kind == "duration" and whose == "task"):
            assert within(kind, await account(host, whose, row.id))
        if whose != "task":
            # Nor by anybody else's task today.
            other = await ended(host, (await host.start(Order("clerk", "work"))).id)
            assert other.outcome == "partly" and "today's budget of the" in other.reason
            assert within(kind, await account(host, whose, row.id))
            assert kind in ("tokens", "cost") or await host.ledger(other.id) == []


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_budget_that_is_reached_asks_where_it_says_so_and_goes_on_by_what_was_agreed_to(
    tmp_path: Path, kind: str, whose: str
) -> None:
    async with bounded(tmp_path, kind, whose, "ask") as host:
        row = await host.start(Order("clerk", "work"))
        question = await asks(host, row.id)
        unit = {"turns": "turns", "tokens": "tokens", "cost": "USD", "duration": "s?"}[kind]
        assert "May it be raised to" in question and unit in question
        before = len(await host.ledger(row.id))
        await host.reply(row.id, "approve")
        await asks(host, row.id)
        assert len(await host.ledger(row.id)) > before
        await host.reply(row.id, "deny")
        found = await ended(host, row.id)
        assert (found.state, found.outcome) == ("failed", "partly")
