"""Budgets that ask: of judges, several at once, in whose name, for how long; and whose the calls are that a host makes itself."""

import asyncio
from contextlib import suppress

import pytest

from agenthost.core.access import RIGHTS, Caller
from agenthost.core.api import Incoming, OpenQuestion, Order
from agenthost.core.budgets import Limits
from agenthost.core.errors import Conflict, Forbidden
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.host.host import Host

from .conftest import ASKER, ECHO, PLAYS, Opens, followed

JUDGED = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec:
  description: Writes
  BUDGET
  completion: {rule: supervisor, criteria: [It says hello.], supervisor: {instructions: Be strict., budget: OWN}}
"""
JUDGE = """\
rules:
  - when: {purpose: judge, matches: 'event (?P<said>\\d+)'}
    reply:
      text: '{"criteria": [{"number": 1, "met": true, "evidence": [{"event": {{said}}, "quote": "hello"}], "missing": ""}], "verdict": "done", "reason": "fine", "question": ""}'
  - reply: {text: "hello"}
"""
ASK = "[budgets]\nreached = 'ask'\n"


def judged(own: str = "{}", budget: str = "") -> str:
    return JUDGED.replace("OWN", own).replace("BUDGET", f"budget: {budget}" if budget else "tools: []")


async def asked(host: Host, task: str, count: int = 1) -> list[OpenQuestion]:
    while len(questions := (await host.task(task)).questions) < count:
        assert (await host.task(task)).row.state not in FINAL, (await host.task(task)).row
        await asyncio.sleep(0.01)
    return questions


async def ended(host: Host, order: Order) -> TaskRow:
    row = await host.start(order)
    await followed(host, row.id)
    return (await host.task(row.id)).row


async def answered(host: Host, task: str, text: str = "approve") -> TaskRow:
    """Its end, every question answered so."""
    async with asyncio.timeout(20):
        while (found := await host.task(task)).row.state not in FINAL:
            for question in found.questions:
                with suppress(Conflict):
                    await host.reply(task, text, f"{question.task}/{question.ask.id}")
            await asyncio.sleep(0.005)
    return found.row


async def test_a_judges_calls_are_turns_of_its_agents_day(opens: Opens) -> None:
    host = await opens(JUDGE, judged(budget="{day: {turns: 2}}"), work=True)
    row = await ended(host, Order("writer", "greet"))
    assert "the work could not be judged: today's budget of the agent 'writer'" in row.reason
    assert [(entry.task, entry.worst.turns) for entry in await host.ledger(row.id)] == [
        (row.id, 1),
        (f"{row.id}.s1", 1),
    ]
    (line,) = await host.budgets.of(Caller(), host).of_task(row.id)
    assert (line.subject, line.spent.turns) == ("agent/default/writer", 2)


async def test_a_judges_own_budget_asks_where_it_says_so_and_goes_on(opens: Opens) -> None:
    host = await opens(JUDGE, judged("{tokens: 10, reached: ask}"), work=True)
    row = await host.start(Order("writer", "greet"))
    (question,) = await asked(host, row.id)
    assert question.task == f"{row.id}.s1" and "May it be raised to" in question.ask.question
    await answered(host, row.id)
    commands = [entry.command for entry in await host.ledger(row.id)]
    assert commands[:2] == ["m1", "m1~2"]
    row = await host.start(Order("writer", "greet"))
    await asked(host, row.id)
    found = await answered(host, row.id, "deny")
    assert (found.state, found.outcome) == ("failed", "partly")


async def test_a_judges_time_is_bounded_by_its_own_budget(opens: Opens) -> None:
    slow = JUDGE.replace("    reply:\n", "    reply:\n      delay: 30\n", 1)
    host = await opens(slow, judged("{duration: 1s}"), work=True)
    found = await ended(host, Order("writer", "greet"))
    assert "the work could not be judged: the budget of 1 seconds is used up" in found.reason


async def test_a_judges_day_is_its_agents(opens: Opens) -> None:
    host = await opens(JUDGE)
    _, problems = await host.apply({"a.yaml": judged("{day: {turns: 3}}")})
    assert "count for the day of the agent: set it as spec.budget.day" in problems[0].message


async def test_of_two_raises_of_one_budget_the_larger_stands_in_whatever_order(opens: Opens) -> None:
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml=ASK + "host = {tokens = 1}\n")
    small, large = [await host.start(Order("echo", text)) for text in ("hello", "hello " * 9000)]
    raises = [(await asked(host, row.id))[0].ask.arguments["limits"]["tokens"] for row in (small, large)]
    assert raises[0] < raises[1]
    assert (await answered(host, large.id)).state == "completed"
    await host.reply(small.id, "approve")
    lines = await host.budgets.of(Caller(), host).all()
    assert lines[0].raised and (lines[0].limits.tokens or 0) >= raises[1]
    await answered(host, small.id)


async def test_an_answer_that_came_too_late_takes_nobody_elses_raise_back(opens: Opens) -> None:
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml=ASK + "host = {turns = 0}\n")
    rows = [await host.start(Order("echo", "hello")) for _ in range(6)]
    for row in rows:
        await asked(host, row.id)
    answers = [(row.id, text) for row in rows for text in ("deny", "approve", "approve")]
    found = await asyncio.gather(*[host.reply(*answer) for answer in answers], return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in found) == 12
    states = [(await answered(host, row.id)).state for row in rows]
    (line,) = await host.budgets.of(Caller(), host).all()
    assert line.spent.turns == states.count("completed") <= (line.limits.turns or 0)


async def test_a_budgets_question_is_answered_by_whom_approvals_are_and_no_longer_than_they_wait(opens: Opens) -> None:
    bounded = ECHO.replace("instructions:", "budget: {tokens: 1, reached: ask}, instructions:")
    toml = "[asking]\nby = ['bob']\napprovals = 1.0\n"
    host = await opens("rules: [{reply: {text: hi}}]", bounded, work=True, toml=toml)
    reception = await host.reception()
    ann = reception.api(Caller("ann", "user", RIGHTS["user"], via="key:1"))
    row = await ann.start(Order("echo", "hello"))
    (question,) = await asked(host, row.id)
    assert (question.ask.by, question.ask.default, question.ask.expires) == (("bob",), "deny", 1.0)
    with pytest.raises(Forbidden):
        await ann.reply(row.id, "approve")
    await followed(host, row.id)
    found = (await host.task(row.id)).row
    assert (found.state, found.outcome) == ("failed", "partly")


FLOW = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  description: Two after another
  budget: {duration: 0.3s, reached: ask}
  roles: {one: {agent: echo}}
  steps:
    - {id: left, role: one, prompt: left}
    - {id: right, role: one, prompt: right}
"""


@pytest.mark.parametrize("answer", ["approve", "deny"])
async def test_a_workflows_time_is_asked_about_while_what_is_under_way_goes_on_and_nothing_new_begins(
    opens: Opens, answer: str
) -> None:
    host = await opens("rules: [{reply: {text: hi, delay: 0.5}}]", ECHO, FLOW, work=True)
    row = await host.start(Order("flow", ""))
    (question,) = await asked(host, row.id)
    assert question.ask.question.startswith("the budget of 0.3 seconds is used up.\nMay it be raised to 0.6 s?")
    while not all(child.state in FINAL for child in (await host.task(row.id)).children):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert len((await host.task(row.id)).children) == 1
    found = await answered(host, row.id, answer)
    assert (found.outcome, found.reason[:10]) == (
        ("done", "every step") if answer == "approve" else ("partly", "the budget")
    )
    assert [report.agrees for report in await host.replay(row.id)] == [True] * (3 if answer == "approve" else 2)


ROUTED = '[routing]\nmodel = "default"\nagent = "asker"\n[budgets]\nreached = "ask"\nperson = {tokens = 20000}\n'


async def test_what_routing_asks_a_model_is_the_persons_and_where_there_is_no_room_nobody_is_asked_in_secret(
    opens: Opens,
) -> None:
    host = await opens(PLAYS, ASKER, work=True, toml=ROUTED)

    async def said(chat: str, *texts: str) -> None:
        for key, text in enumerate(texts):
            came = Incoming(text, conversation=chat, key=f"{chat}-{key}-{text[:5]}", channel="chat", name="asker")
            await host.place(came)
            for open in await host.tasks(Filter(name="asker", states=("submitted", "working", "input-required"))):
                await asked(host, open.id)

    await said("chat:1", "paint the fence", "/new write a poem", "make it a bit longer than that")
    (row,) = await host.tasks(Filter(name="routing"))
    await followed(host, row.id)
    assert [(entry.person, entry.agent) for entry in await host.ledger(row.id)] == [("owner", "routing")]
    await said("chat:2", "paint the fence", "/new write a poem")
    await host.budgets.of(Caller(), host).set("person/owner", Limits(tokens=1))
    await said("chat:2", "make it a bit longer than that")
    (row, _) = await host.tasks(Filter(name="routing"))
    await followed(host, row.id)
    assert "no model could say (today's budget of the person 'owner'" in (await host.task(row.id)).row.reason
    assert await host.ledger(row.id) == []
