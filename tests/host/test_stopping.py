"""A host that stops, and one that starts while it is asked for things."""

import asyncio
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.errors import Temporary
from agenthost.core.events import Answered, Asked, CancelAsked, Finished, Received
from agenthost.core.parts import Message, TextPart
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.stores.sqlite import SQLiteStore
from tests.host.conftest import ASKER, ECHO, ENVIRONMENT, PAIR, Opens, followed

SLOW = 'rules:\n  - reply: {text: "You said {{said}}", delay: 0.4}\n'
ENDLESS = 'rules:\n  - reply: {text: "You said {{said}}", delay: 600}\n'
QUICK = 'rules:\n  - reply: {text: "You said {{said}}"}\n'


async def under_way(host: Host, name: str, order: str = "hello") -> str:
    """A task whose model call is being made."""
    row = await host.start(Order(name, order))
    while not any(child.seq >= 3 for child in ((await host.task(row.id)).children or ((await host.task(row.id)).row,))):
        await asyncio.sleep(0.01)
    return row.id


async def test_a_call_under_way_ends_and_is_not_made_again(opens: Opens) -> None:
    host = await opens(SLOW, ECHO, work=True)
    task = await under_way(host, "echo")
    assert await host.drain() == 0
    kinds = [type(each.event) for each in await host.events_of(task)]
    assert kinds[-1] is Answered and Finished not in kinds
    assert host.readiness() == "closing"
    await host.close()

    host = await opens(QUICK, work=True)
    events = await followed(host, task)
    assert isinstance(events[-1].event, Finished) and events[-1].event.verdict.outcome == "done"
    assert len(await host.ledger(task)) == 1
    assert [report.agrees for report in await host.replay(task)] == [True]


async def test_children_end_their_calls_too_and_nothing_new_begins(opens: Opens) -> None:
    host = await opens(SLOW, ECHO, PAIR, work=True)
    task = await under_way(host, "pair")
    assert await host.drain() == 0
    asked = [each.event for row in (await host.task(task)).children for each in await host.events_of(row.id)]
    assert sum(isinstance(event, Asked) for event in asked) == sum(isinstance(event, Answered) for event in asked)
    await host.close()
    host = await opens(QUICK, work=True)
    events = await followed(host, task)
    assert isinstance(events[-1].event, Finished) and events[-1].event.verdict.outcome == "done"
    assert len(await host.ledger(task)) == 2
    assert all(report.agrees for report in await host.replay(task))


async def test_what_takes_longer_than_the_grace_is_made_again(opens: Opens) -> None:
    host = await opens(ENDLESS, ECHO, work=True, toml="[work]\ngrace = 0.05\n")
    task = await under_way(host, "echo")
    assert await host.drain() == 1
    await host.close()
    host = await opens(QUICK, work=True)
    events = await followed(host, task)
    assert isinstance(events[-1].event, Finished) and events[-1].event.verdict.outcome == "done"
    assert [entry.settled for entry in await host.ledger(task)] == [False, True]


async def test_who_waits_for_a_person_holds_nobody_up(opens: Opens) -> None:
    host = await opens(
        'rules:\n  - when: {turn: 0}\n    reply: {calls: [{tool: ask_person, arguments: {question: "Which?"}}]}\n'
        '  - reply: {text: "{{said}}"}\n',
        ASKER,
        work=True,
        toml="[work]\ngrace = 600\n",
    )
    row = await host.start(Order("asker", "ask"))
    while not (await host.task(row.id)).questions:
        await asyncio.sleep(0.01)
    assert await host.drain() == 0
    # What people say meanwhile is kept, and counts at the next start.
    await host.reply(row.id, "this one")
    await host.close()
    host = await opens(QUICK, work=True)
    events = await followed(host, row.id)
    assert isinstance(events[-1].event, Finished) and events[-1].event.verdict.outcome == "done"


async def test_messages_and_cancels_that_come_while_it_stops_are_kept(opens: Opens) -> None:
    host = await opens(SLOW, ECHO, work=True)
    told, ended = await under_way(host, "echo", "one"), await under_way(host, "echo", "two")
    async with asyncio.TaskGroup() as group:
        group.create_task(host.drain())
        await asyncio.sleep(0)
        await host.say(told, Message("user", (TextPart("and this"),)))
        await host.cancel(ended)
    await host.close()
    host = await opens(QUICK, work=True)
    first = await followed(host, told)
    assert any(isinstance(each.event, Received) for each in first)
    second = await followed(host, ended)
    assert any(isinstance(each.event, CancelAsked) for each in second)
    assert isinstance(second[-1].event, Finished) and second[-1].event.verdict.outcome == "canceled"


async def test_no_new_work_is_taken_and_when_to_ask_again_is_told(opens: Opens) -> None:
    host = await opens(QUICK, ECHO, work=True)
    await host.drain()
    with pytest.raises(Temporary, match="takes no new work") as refused:
        await host.start(Order("echo", "hello"))
    assert refused.value.code == "closing" and refused.value.delay


async def test_a_host_that_never_worked_stops_at_once(opens: Opens) -> None:
    host = await opens(QUICK, ECHO)
    assert await host.drain() == 0


# --- it starts


async def test_it_serves_and_takes_work_while_what_was_left_is_still_taken_up(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(ENDLESS, ECHO, work=True)
    left = await under_way(host, "echo")
    await host.close()

    listed, go_on = SQLiteStore.claimable, asyncio.Event()

    async def slowly(store: SQLiteStore, owner: str, now: float, limit: int) -> object:
        await go_on.wait()
        return await listed(store, owner, now, limit)

    monkeypatch.setattr(SQLiteStore, "claimable", slowly)
    (tmp_path / "plays.yaml").write_text(QUICK)
    settings = load(tmp_path / "home", ENVIRONMENT | {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"})
    host = await open_host(settings, work=True, serving=True)
    try:
        assert host.readiness() == "starting"
        new = await host.start(Order("echo", "at once"))
        assert isinstance((await followed(host, new.id))[-1].event, Finished)
        assert (await host.task(left)).row.state == "working"
        assert host.readiness() == "starting"
        go_on.set()
        await host.recovered()
        assert host.readiness() == ""
        assert isinstance((await followed(host, left))[-1].event, Finished)
    finally:
        await host.close()


async def test_what_keeps_it_from_going_on_is_told(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(QUICK, ECHO)
    await host.close()

    async def fails(*_: object) -> object:
        raise Temporary("the disk is full", code="disk-full")

    monkeypatch.setattr(SQLiteStore, "claimable", fails)
    settings = load(tmp_path / "home", ENVIRONMENT | {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"})
    host = await open_host(settings, work=True, serving=True)
    try:
        with pytest.raises(Temporary, match="the disk is full"):
            await host.recovered()
        assert host.readiness() == "starting"
    finally:
        await host.close()
