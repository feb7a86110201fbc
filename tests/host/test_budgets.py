"""Budgets of a day: by person, agent and host; read live, set, raised by whoever may, and never gone beyond."""

import asyncio
import time
from pathlib import Path

import pytest

from agenthost.core.access import RIGHTS, Caller
from agenthost.core.api import Order
from agenthost.core.budgets import Limits, subject_of
from agenthost.core.errors import Conflict, Forbidden, NotFound
from agenthost.core.lifecycle import FINAL
from agenthost.core.tasks import TaskRow
from agenthost.host.budgets.allowances import Allowances
from agenthost.host.budgets.settings import BudgetSettings, DayLimits
from agenthost.host.host import Host

from .conftest import ECHO, Opens, followed

ASKED = "[budgets]\nreached = 'ask'\n"
ANN = Caller("ann", "user", RIGHTS["user"], via="key:1")


async def ended(host: Host, order: Order) -> TaskRow:
    row = await host.start(order)
    await followed(host, row.id)
    return (await host.task(row.id)).row


async def asks(host: Host, task: str) -> str:
    while not (questions := (await host.task(task)).questions):
        assert (await host.task(task)).row.state not in FINAL
        await asyncio.sleep(0.01)
    return questions[0].ask.question


async def test_a_persons_day_is_bounded_whatever_they_run_and_others_are_not(opens: Opens) -> None:
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml="[budgets.people.ann]\nturns = 2\n")
    for _ in range(2):
        assert (await ended(host, Order("echo", "hello", person="ann"))).state == "completed"
    row = await ended(host, Order("echo", "hello", person="ann"))
    assert (row.state, row.outcome) == ("failed", "partly")
    assert "today's budget of the person 'ann' has no room" in row.reason
    assert "2 turns of 2 turns" in row.reason
    assert await host.ledger(row.id) == []
    assert (await ended(host, Order("echo", "hello", person="bob"))).state == "completed"
    (line,) = await host.budgets.of(ANN, host).all()
    assert (line.subject, line.spent.turns, line.limits.turns) == ("person/default/ann", 2, 2)
    assert line.until > time.time()


async def test_two_at_once_never_go_beyond_together(opens: Opens) -> None:
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml="[budgets.agent]\nturns = 3\n")
    rows = await asyncio.gather(*[ended(host, Order("echo", "hello", person=f"p{n}")) for n in range(8)])
    assert sorted(row.state for row in rows) == ["completed"] * 3 + ["failed"] * 5


async def test_a_budget_that_is_set_counts_what_was_spent_before_it_and_stays_over_a_restart(opens: Opens) -> None:
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True)
    assert (await ended(host, Order("echo", "hello"))).state == "completed"
    budgets = host.budgets.of(Caller(), host)
    assert await budgets.all() == []
    line = await budgets.set("host", Limits(turns=2))
    assert (line.spent.turns, line.given) == (1, "set")
    assert (await ended(host, Order("echo", "hello"))).state == "completed"
    assert (await ended(host, Order("echo", "hello"))).state == "failed"
    await host.close()
    host = await opens("rules: [{reply: {text: hi}}]", work=True)
    budgets = host.budgets.of(Caller(), host)
    assert [(line.subject, line.spent.turns) for line in await budgets.all()] == [("host", 2)]
    assert (await ended(host, Order("echo", "hello"))).state == "failed"
    assert (await budgets.set("host", None)).limits == Limits()
    assert (await ended(host, Order("echo", "hello"))).state == "completed"


async def test_a_manifests_day_is_for_all_tasks_of_its_agent_and_read_live(opens: Opens) -> None:
    bounded = ECHO.replace("instructions:", "budget: {day: {turns: 1}}, instructions:")
    host = await opens("rules: [{reply: {text: hi}}]", bounded, work=True)
    first = await ended(host, Order("echo", "hello"))
    assert first.state == "completed"
    assert (await ended(host, Order("echo", "hello"))).state == "failed"
    await host.apply({"a.yaml": bounded.replace("turns: 1", "turns: 9")})
    assert (await ended(host, Order("echo", "hello"))).state == "completed"
    (line,) = await host.budgets.of(Caller(), host).of_task(first.id)
    assert (line.subject, line.limits.turns, line.spent.turns) == ("agent/default/echo", 9, 2)


async def test_a_task_asks_whether_its_budget_may_be_raised_and_goes_on_with_the_same_call(opens: Opens) -> None:
    bounded = ECHO.replace("instructions:", "budget: {turns: 1, reached: ask}, tools: [ask], instructions:")
    plays = "rules: [{when: {turn: 0}, reply: {calls: [{tool: none, arguments: {}}]}}, {reply: {text: hi}}]"
    host = await opens(plays, bounded, work=True)
    row = await host.start(Order("echo", "hello"))
    question = await asks(host, row.id)
    assert "May it be raised to 2 turns? Otherwise the task ends." in question
    assert len(await host.ledger(row.id)) == 1
    await host.reply(row.id, "approve")
    await followed(host, row.id)
    assert (await host.task(row.id)).row.state == "completed"
    assert [entry.command for entry in await host.ledger(row.id)] == ["m1", "m2~2"]
    row = await host.start(Order("echo", "hello"))
    await asks(host, row.id)
    await host.reply(row.id, "deny")
    await followed(host, row.id)
    found = (await host.task(row.id)).row
    assert (found.state, found.outcome) == ("failed", "partly")


async def test_only_who_manages_the_host_raises_a_day_and_the_raise_stays_over_a_restart(opens: Opens) -> None:
    toml = ASKED + "person = {turns = 1}\n"
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml=toml)
    reception = await host.reception()
    assert (await ended(host, Order("echo", "hello", person="ann"))).state == "completed"
    row = await reception.api(ANN).start(Order("echo", "hello"))
    await asks(host, row.id)
    with pytest.raises(Forbidden, match="raised by somebody who manages"):
        await reception.api(ANN).reply(row.id, "approve")
    await host.close()
    host = await opens("rules: [{reply: {text: hi}}]", work=True, toml=toml)
    await host.reply(row.id, "approve")
    await followed(host, row.id)
    assert (await host.task(row.id)).row.state == "completed"
    await host.close()
    host = await opens("rules: [{reply: {text: hi}}]", work=True, toml=toml)
    lines = {line.subject: line for line in await host.budgets.of(Caller(), host).all()}
    line = lines["person/default/ann"]
    assert (line.raised, line.limits.turns, line.spent.turns) == (True, 2, 2)
    row = await (await host.reception()).api(ANN).start(Order("echo", "hello"))
    await asks(host, row.id)
    await (await host.reception()).api(ANN).reply(row.id, "deny")
    await followed(host, row.id)
    assert (await host.task(row.id)).row.state == "failed"


async def test_of_two_answers_the_one_that_came_too_late_raises_nothing(opens: Opens) -> None:
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml=ASKED + "host = {turns = 0}\n")
    row = await host.start(Order("echo", "hello"))
    await asks(host, row.id)
    found = await asyncio.gather(host.reply(row.id, "deny"), host.reply(row.id, "approve"), return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in found) == 1
    await followed(host, row.id)
    state = (await host.task(row.id)).row.state
    raised = any(subject_of(account) for account in host.library.allowances.raised)
    assert raised == (state == "completed")


async def test_who_manages_nothing_sees_their_own_and_sets_none(opens: Opens) -> None:
    toml = "[budgets]\nhost = {turns = 50}\nperson = {turns = 5}\n"
    host = await opens("rules: [{reply: {text: hi}}]", ECHO, work=True, toml=toml)
    reception = await host.reception()
    row = await reception.api(ANN).start(Order("echo", "hello"))
    await followed(host, row.id)
    await ended(host, Order("echo", "hello", person="bob"))
    mine = host.budgets.of(ANN, reception.api(ANN))
    assert [line.subject for line in await mine.all()] == ["person", "person/default/ann"]
    assert [line.subject for line in await mine.of_task(row.id)] == ["person/default/ann"]
    with pytest.raises(Forbidden):
        await mine.set("person/ann", Limits(turns=500))
    other = Caller("bob", "user", RIGHTS["user"], via="key:2")
    with pytest.raises(NotFound):
        await host.budgets.of(other, reception.api(other)).of_task(row.id)
    everybodys = [line.subject for line in await host.budgets.of(Caller(), host).all()]
    assert everybodys == ["host", "person", "person/default/ann", "person/default/bob"]


@pytest.mark.parametrize("subject", ["", "people", "person/", "host/x", "person/a/b/c", "namespace/a/b"])
async def test_a_subject_that_is_none_is_refused(opens: Opens, subject: str) -> None:
    host = await opens("rules: []", ECHO)
    with pytest.raises(NotFound, match="there is no budget of"):
        await host.budgets.of(Caller(), host).set(subject, Limits(turns=1))


def test_a_day_is_that_of_the_time_zone_also_where_the_clock_is_changed() -> None:
    allowances = Allowances()
    allowances.take(BudgetSettings("Europe/Berlin", host=DayLimits(turns=1)))
    # 2026-03-29 has 23 hours there, 2026-10-25 has 25.
    for at, day, hours in ((1_774_738_800.0 + 3600, "2026-03-29", 23), (1_792_879_200.0 + 3600, "2026-10-25", 25)):
        name, start, end = allowances.day(at)
        assert (name, (end - start) / 3600) == (day, hours)
        assert allowances.day(end - 1)[0] == day and allowances.day(end)[0] != day


def test_a_time_zone_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no time zone 'Mars'"):
        BudgetSettings("Mars")
