"""Who may no more loses what is open at once, and what goes on without a connection acts for them no more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import mcp.types as types
import pytest
from mcp.client.subscriptions import ResourceUpdated, SubscriptionLost
from mcp.shared.exceptions import MCPError

from agenthost.core.administration import NewKey, NewPerson, PersonChange
from agenthost.core.api import Order
from agenthost.core.ports import Filter
from tests.faces.over_mcp.clients import NEW, OLD, client, plain
from tests.faces.over_mcp.conftest import Door

MODES = pytest.mark.parametrize("mode", [NEW, OLD])
CHANGES = pytest.mark.parametrize("change", ["revoked", "role", "removed"])


@pytest.fixture(autouse=True)
def never_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found out by looking again: only what is told counts."""
    monkeypatch.setattr("agenthost.faces.http.presence.LOOK", 3600.0)
    monkeypatch.setattr("agenthost.host.reception._FOR", 3600.0)


async def otto(door: Door) -> NewKey:
    """Somebody with a key."""
    admin = door.host.admin()
    await admin.add_person(NewPerson("otto", "user"))
    return await admin.make_key(person="otto")


def headers(made: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {made.secret}"}


async def take_back(door: Door, made: NewKey, change: str) -> None:
    admin = door.host.admin()
    if change == "revoked":
        await admin.revoke_key(made.key.id, "otto")
    elif change == "role":
        await admin.change_person("otto", PersonChange(role="read-only"))
    else:
        await admin.delete_person("otto", "keep")


async def asking(door: Door, person: str) -> str:
    """A task that waits for an answer."""
    task = (await door.host.start(Order("asker", "ask", person=person))).id
    await until(lambda: waits(door, task))
    return task


async def waits(door: Door, task: str) -> bool:
    return (await door.host.task(task)).row.state == "input-required"


async def cut(stream: Awaitable[None]) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await stream


async def until(true: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.02)


@CHANGES
async def test_a_subscription_ends(door: Door, change: str) -> None:
    made = await otto(door)
    uri = f"agenthost://tasks/{await asking(door, 'otto')}"
    async with (
        asyncio.timeout(30),
        client(door.url, headers(made)) as his,
        client(door.url, door.headers) as owners,
        owners.listen(resource_subscriptions=[uri]) as kept,
        his.listen(tools_list_changed=True, resource_subscriptions=[uri]) as stream,
    ):
        await take_back(door, made, change)
        with pytest.raises(SubscriptionLost):
            while True:
                await anext(stream)
        await door.host.reply(uri.rpartition("/")[2], "red")
        assert await anext(kept) == ResourceUpdated(uri)  # who wasn't changed goes on


@MODES
@CHANGES
async def test_a_call_that_goes_on_is_left_without_an_answer(door: Door, mode: str, change: str) -> None:
    made = await otto(door)
    began, answers = asyncio.Event(), list[Any]()

    async def told(progress: float, total: float | None, message: str | None) -> None:
        began.set()

    async def calls() -> None:
        try:
            async with client(door.url, headers(made), mode) as mcp:
                answers.append(await mcp.call_tool("sleeper", {"text": "x"}, progress_callback=told))
        except* (MCPError, httpx2.HTTPError):
            answers.append("cut")

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(calls())
        await began.wait()
        await take_back(door, made, change)
    assert answers == ["cut"]


async def test_a_sessions_own_stream_ends_and_it_is_told_nothing_more(door: Door) -> None:
    made = await otto(door)
    task = await asking(door, "otto")
    opened = asyncio.Event()
    async with asyncio.timeout(30), plain(door.url, headers(made), OLD) as mcp, asyncio.TaskGroup() as group:
        await mcp.ask("resources/subscribe", {"uri": f"agenthost://tasks/{task}"})

        listening = group.create_task(cut(mcp.listens(opened)))
        await opened.wait()
        await take_back(door, made, "revoked")
        await listening
        again = await door.host.admin().make_key(person="otto")
        async with plain(door.url, headers(again), OLD) as other:
            other.session, opened = mcp.session, asyncio.Event()
            hearing = group.create_task(other.listens(opened))
            await opened.wait()
            await door.host.reply(task, "red")
            assert (await other.post("ping"))["result"] == {}
            hearing.cancel()
    assert not any(message.get("method") == "notifications/resources/updated" for message in other.heard)


async def test_an_answer_from_somebody_who_may_only_look_by_now_answers_nothing(door: Door) -> None:
    """The question was put by a call that began when they still might answer."""
    made = await otto(door)
    put, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answers(context: Any, params: Any) -> types.ElicitResult:
        put.set()
        await go_on.wait()
        return types.ElicitResult(action="accept", content={"answer": "red"})

    async def calls() -> None:
        try:
            async with client(door.url, headers(made), OLD, elicitation_callback=answers) as mcp:
                await mcp.call_tool("asker", {"text": "ask"})
        except* (MCPError, httpx2.HTTPError):
            ended.set()

    async with asyncio.timeout(30), plain(door.url, headers(made), OLD) as mcp, asyncio.TaskGroup() as group:
        opened = asyncio.Event()
        listening = group.create_task(cut(mcp.listens(opened)))
        group.create_task(calls())
        await put.wait()
        await opened.wait()
        (row,) = await door.host.tasks(Filter(person="otto"))
        await take_back(door, made, "role")
        await listening  # all that is theirs ends in one step
        go_on.set()
        await ended.wait()
    assert await waits(door, row.id)
