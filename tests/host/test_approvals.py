"""Approvals and grants at a real host: what is asked, who may answer, what counts when, and what is allowed for good."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agenthost.core.access import OWNER, Caller, DeedFilter, Person
from agenthost.core.api import OpenQuestion, Order
from agenthost.core.errors import BadInput, Conflict, Forbidden, NotFound, Unusable
from agenthost.core.events import Answered, Asked, Finished, Reply
from agenthost.core.grants import Always, Rule
from agenthost.host.host import Host
from agenthost.host.reception import Reception
from host import gated_tools
from host.conftest import ASKER, Opens, followed

PLAYS = """
rules:
  - when: {agent: payer, turn: 0}
    reply: {calls: [{tool: pay, arguments: {to: bob, text: "{{said}}"}}]}
  - when: {agent: noter, turn: 0}
    reply: {calls: [{tool: note, arguments: {to: "reports/may", text: "{{said}}"}}]}
  - when: {offers: delegate_to_payer, turn: 0}
    reply: {calls: [{tool: delegate_to_payer, arguments: {task: "{{said}}"}}]}
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?"}}]}
  - reply: {text: "heard: {{said}}"}
"""
PAYER = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: payer}
spec: {description: Pays, tools: [pay]}
"""
NOTER = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: noter}
spec: {tools: [note], approvals: {tools: [no*], by: [role:operator, bob], within: 1h}}
"""
RELEASE = """
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: release}
spec:
  input: {version: {type: string}}
  steps:
    - id: publish
      tool: note
      with: {to: web, text: "{{ input.version }}"}
      approve: {message: "Publish {{ input.version }}?"}
"""
TOML = '[tools]\npay = "host.gated_tools:PAY"\nnote = "host.gated_tools:NOTE"\n'
OPERATOR = Caller("otto", "operator", ("read", "work", "manage"), via="key:k1")
ANN = Caller("ann", "user", ("read", "work"), via="key:k2")
BOB = Caller("bob", "user", ("read", "work"), via="key:k3")


@pytest.fixture
async def host(opens: Opens) -> AsyncGenerator[Host]:
    gated_tools.DONE.clear()
    yield await opens(PLAYS, PAYER, NOTER, RELEASE, ASKER, work=True, toml=TOML)


@pytest.fixture
async def reception(host: Host) -> Reception:
    for id, role in (("ann", "user"), ("bob", "user"), ("otto", "operator")):
        await host.accounts.put_person(Person(id, role, 1.0))
    return await host.reception()


async def asks(host: Host, order: Order) -> tuple[str, OpenQuestion]:
    """Start work; the task, and its first question."""
    row = await host.start(order)
    return row.id, await question(host, row.id)


async def question(host: Host, task: str) -> OpenQuestion:
    async with asyncio.timeout(20):
        while not (found := (await host.task(task)).questions):
            await asyncio.sleep(0.01)
    return found[0]


async def test_an_approval_shows_what_will_be_done_and_by_whom_and_how_long_it_waits(host: Host) -> None:
    task, asked = await asks(host, Order("payer", "ten"))
    assert (asked.ask.tool, asked.ask.arguments) == ("pay", {"to": "bob", "text": "ten"})
    assert '"text": "ten"' in asked.ask.question
    assert asked.until == pytest.approx(asked.at + 604_800)
    assert asked.ask.default == "deny"
    await host.reply(task, "approve", via="cli")
    events = await followed(host, task)
    assert [
        each.event.answer for each in events if isinstance(each.event, Answered) and each.event.command == asked.ask.id
    ] == [Reply("approve", "owner", "cli")]
    assert gated_tools.DONE == [{"tool": "pay", "to": "bob", "text": "ten"}]


async def test_a_secret_is_not_shown_with_the_arguments(host: Host) -> None:
    await host.set_secret("bank", "s3cret-of-the-bank")
    _, asked = await asks(host, Order("payer", "pay with s3cret-of-the-bank"))
    assert "s3cret-of-the-bank" not in asked.ask.question + str(asked.ask.arguments)
    assert "[secret bank]" in asked.ask.question


async def test_a_tool_that_the_manifest_names_and_a_step_need_one_too(host: Host) -> None:
    _, asked = await asks(host, Order("noter", "hi"))
    assert (asked.ask.tool, asked.ask.by, asked.ask.expires) == ("note", ("role:operator", "bob"), 3600.0)
    task, asked = await asks(host, Order("release", inputs={"version": "1.2"}))
    assert asked.ask.question == 'Publish 1.2?\n{\n  "to": "web",\n  "text": "1.2"\n}'
    await host.reply(task, "deny")
    events = await followed(host, task)
    assert isinstance(events[-1].event, Finished)
    assert "did not allow this call" in events[-1].event.verdict.reason
    assert gated_tools.DONE == []


async def test_a_name_that_guards_nothing_keeps_the_agent_from_starting(host: Host) -> None:
    wrong = PAYER.replace("tools: [pay]", "tools: [pay], approvals: {tools: [pya]}")
    await host.apply({"wrong.yaml": wrong})
    with pytest.raises(BadInput, match="wants approvals for the tool 'pya', and has no such tool.*'pay'"):
        await host.start(Order("payer", "ten"))


async def test_a_question_ends_by_its_default_counted_from_when_it_was_asked(opens: Opens) -> None:
    gated_tools.DONE.clear()
    short = PAYER.replace("tools: [pay]", "tools: [pay], approvals: {within: 400ms}")
    host = await opens(PLAYS, short, work=True, toml=TOML)
    task, asked = await asks(host, Order("payer", "ten"))
    await host.close()
    await asyncio.sleep(max(0.0, asked.until - time.time()))
    host = await opens(PLAYS, work=True, toml=TOML)
    events = await followed(host, task)
    (answered,) = [each for each in events if isinstance(each.event, Answered) and each.event.command == asked.ask.id]
    assert isinstance(answered.event, Answered)
    assert answered.event.answer == Reply("deny", "host", "time-limit")
    assert any("Nobody approved this call in time" in str(each.event) for each in events)
    assert gated_tools.DONE == []
    with pytest.raises(Conflict, match="answered already: 'deny', by host over time-limit"):
        await host.reply(task, "approve")


async def test_the_host_says_who_may_answer_where_the_manifest_doesnt(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER, work=True, toml='[asking]\nby = ["role:operator"]\nquestions = 0\n')
    task, asked = await asks(host, Order("asker", "hi"))
    assert (asked.ask.by, asked.until) == (("role:operator",), 0.0)
    with pytest.raises(Forbidden, match="anybody of the role operator may"):
        await host.reply(task, "red")


async def test_who_may_answer_does_and_who_may_not_is_told_who(host: Host, reception: Reception) -> None:
    row = await reception.api(ANN).start(Order("noter", "hi"))
    await question(host, row.id)
    with pytest.raises(Forbidden, match="anybody of the role operator or 'bob' may"):
        await reception.api(ANN).reply(row.id, "approve")
    with pytest.raises(Forbidden, match="anybody of the role operator or 'bob' may"):
        await host.reply(row.id, "approve", by=OWNER)
    assert await reception.api(ANN).questions() == []
    with pytest.raises(NotFound):
        await reception.api(BOB).task(row.id)
    (mine,) = await reception.api(BOB).questions()
    assert (mine.task, mine.ask.tool) == (row.id, "note")
    await reception.api(BOB).reply(row.id, "approve", via="rest")
    events = await followed(host, row.id)
    assert Reply("approve", "bob", "rest") in [each.event.answer for each in events if isinstance(each.event, Answered)]
    with pytest.raises(NotFound):
        await reception.api(BOB).reply(row.id, "approve")
    assert gated_tools.DONE == [{"tool": "note", "to": "reports/may", "text": "hi"}]


async def test_of_many_answers_at_once_one_counts_and_the_others_hear_whose(host: Host, reception: Reception) -> None:
    row = await reception.api(ANN).start(Order("payer", "ten"))
    await question(host, row.id)
    ways = [(ANN, "a2a", "approve"), (OPERATOR, "rest", "deny"), (ANN, "mcp", "approve"), (OPERATOR, "cli", "deny")]
    came = await asyncio.gather(
        *(reception.api(who).reply(row.id, text, via=via) for who, via, text in ways), return_exceptions=True
    )
    won = [way for way, each in zip(ways, came, strict=True) if isinstance(each, OpenQuestion)]
    assert len(won) == 1, came
    (winner, via, text) = won[0]
    for lost in (each for each in came if not isinstance(each, OpenQuestion)):
        assert isinstance(lost, Conflict)
        assert {name: lost.details[name] for name in ("by", "via", "text")} == {
            "by": winner.person,
            "via": via,
            "text": text,
        }
    events = await followed(host, row.id)
    answers = [each.event.answer for each in events if isinstance(each.event, Answered)]
    assert [each for each in answers if isinstance(each, Reply)] == [Reply(text, winner.person, via)]
    assert len(gated_tools.DONE) == (text == "approve")


# --- grants ---------------------------------------------------------------------------------------


async def ended(host: Host, order: Order) -> list[str]:
    """Start work that asks nobody; what of it was answered by whom."""
    row = await host.start(order)
    events = await followed(host, row.id)
    return [
        each.event.answer.by
        for each in events
        if isinstance(each.event, Answered) and isinstance(each.event.answer, Reply)
    ]


async def test_what_was_approved_for_good_is_not_asked_again_until_it_is_taken_back(host: Host) -> None:
    task, _ = await asks(host, Order("payer", "ten"))
    given = await host.reply(task, "approve", via="cli", always=Always(note="rent"))
    await followed(host, task)
    desk = host.grants.of(Caller())
    (grant,) = await desk.all()
    assert grant.id == given.grant
    assert (grant.name, grant.tool, grant.person, grant.by, grant.via, grant.task, grant.note) == (
        "payer", "pay", "owner", "owner", "cli", task, "rent",
    )  # fmt: skip
    assert grant.rules == {"to": Rule("exact", "bob"), "text": Rule("exact", "ten")}

    again = await host.start(Order("payer", "ten"))
    events = await followed(host, again.id)
    asked = next(each for each in events if isinstance(each.event, Asked) and each.event.command.id.endswith("-ok"))
    answered = next(each for each in events if each.seq == asked.seq + 1)
    assert answered.event == Answered("m1-0-ok", Reply("approve", f"grant:{grant.id}", "grant"))
    assert all(report.agrees for report in await host.replay(again.id))
    detail = await desk.show(grant.id)
    assert [(use.task, use.seq) for use in detail.uses] == [(again.id, asked.seq)]
    assert detail.grant.uses == 1
    (note,) = await host.accounts.deeds(DeedFilter(what="grant.use"))
    assert (note.thing, note.via) == (f"{grant.id} {again.id}#{asked.seq} pay", f"grant:{grant.id}")

    await desk.remove(grant.id)
    task, _ = await asks(host, Order("payer", "ten"))
    await host.reply(task, "deny")
    await followed(host, task)
    assert len(gated_tools.DONE) == 2
    assert {deed.what for deed in await host.accounts.deeds(DeedFilter(thing=grant.id, limit=50))} == set()
    told = [deed.what for deed in await host.accounts.deeds(DeedFilter(limit=50)) if deed.thing.startswith(grant.id)]
    assert sorted(told) == ["grant.give", "grant.remove", "grant.use"]
    # What a grant once answered is decided the same without it.
    assert all(report.agrees for report in await host.replay(again.id))


async def test_a_grant_holds_for_its_arguments_and_for_no_others(host: Host) -> None:
    task, _ = await asks(host, Order("payer", "ten"))
    await host.reply(task, "approve always")
    await followed(host, task)
    assert await ended(host, Order("payer", "ten")) == [f"grant:{(await host.grants.of(Caller()).all())[0].id}"]
    task, _ = await asks(host, Order("payer", "eleven"))
    await host.reply(task, "approve", always=Always(any=("text",)))
    await followed(host, task)
    assert len(await ended(host, Order("payer", "twelve"))) == 1
    task, _ = await asks(host, Order("release", inputs={"version": "1"}))
    await host.cancel(task)


async def test_a_grant_is_for_one_persons_tasks_and_worth_no_more_than_its_givers_word(
    host: Host, reception: Reception
) -> None:
    ann, otto = reception.api(ANN), reception.api(OPERATOR)
    row = await ann.start(Order("noter", "hi"))
    await question(host, row.id)
    given = await otto.reply(row.id, "approve", always=Always(anything=True))
    await followed(host, row.id)
    assert [each.id for each in await host.grants.of(ANN).all()] == [given.grant]
    assert await host.grants.of(BOB).all() == []
    with pytest.raises(NotFound):
        await host.grants.of(BOB).remove(given.grant)

    other = await reception.api(BOB).start(Order("noter", "hi"))
    await question(host, other.id)
    row = await ann.start(Order("noter", "ho"))
    assert isinstance((await followed(host, row.id))[-1].event, Finished)

    await host.accounts.put_person(Person("otto", "user", 1.0))
    row = await ann.start(Order("noter", "ho"))
    await question(host, row.id)
    await host.grants.of(ANN).remove(given.grant)
    assert await host.grants.of(ANN).all() == []


async def test_what_cant_be_given_for_good_is_said(host: Host) -> None:
    task, _ = await asks(host, Order("payer", "ten"))
    for text, always, why in (
        ("deny", Always(), "only a yes"),
        ("approve", Always(any=("nothing",)), "no argument 'nothing'"),
        ("approve", Always(like={"to": ""}), "1 to 1000"),
        ("approve", Always(any=("to",), anything=True), "means every call"),
        ("approve", Always(note="x" * 2000), "shorter"),
    ):
        with pytest.raises(Unusable, match=why):
            await host.reply(task, text, always=always)
    await host.cancel(task)
    task, _ = await asks(host, Order("asker", "hi"))
    with pytest.raises(Unusable, match="only an approval"):
        await host.reply(task, "red", always=Always())
    assert await host.grants.of(Caller()).all() == []


async def test_a_grant_with_a_secret_among_its_arguments_holds_and_keeps_no_secret(host: Host, tmp_path: Path) -> None:
    await host.set_secret("bank", "s3cret-of-the-bank")
    task, _ = await asks(host, Order("payer", "with s3cret-of-the-bank"))
    await host.reply(task, "approve", always=Always())
    await followed(host, task)
    (grant,) = await host.grants.of(Caller()).all()
    assert grant.rules["text"] == Rule("exact", "with [secret bank]")
    assert await ended(host, Order("payer", "with s3cret-of-the-bank")) == [f"grant:{grant.id}"]
