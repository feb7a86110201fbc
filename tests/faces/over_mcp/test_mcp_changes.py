"""Clients that want to know are told what changes: lists, and tasks that they look at."""

import asyncio

import mcp.types as types
import pytest
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPError

from agenthost.core.api import Order
from tests.faces.over_mcp.clients import OLD, client
from tests.faces.over_mcp.conftest import Door
from tests.faces.over_mcp.test_mcp_door import enter

NEWCOMER = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: newcomer}\nspec: {instructions: x}\n"


async def asking(door: Door) -> str:
    """A task that waits for an answer."""
    task = (await door.host.start(Order("asker", "ask"))).id
    async with asyncio.timeout(30):
        while (await door.host.task(task)).row.state != "input-required":
            await asyncio.sleep(0.05)
    return task


async def test_a_stream_tells_of_new_tools_and_of_a_task(door: Door) -> None:
    uri = f"agenthost://tasks/{await asking(door)}"
    async with (
        asyncio.timeout(30),
        client(door.url, door.headers) as mcp,
        mcp.listen(tools_list_changed=True, resource_subscriptions=[uri]) as stream,
    ):
        await door.host.reply(uri.rpartition("/")[2], "red")
        assert await anext(stream) == ResourceUpdated(uri)
        await door.host.apply({"new.yaml": NEWCOMER})
        while (event := await anext(stream)) == ResourceUpdated(uri):
            pass
        assert event == ToolsListChanged()


async def test_a_session_is_told_of_a_task_that_it_subscribed_to_and_nobody_elses(door: Door) -> None:
    task = await asking(door)
    uri = f"agenthost://tasks/{task}"
    told: asyncio.Queue[str] = asyncio.Queue()

    async def heard(message: object) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            await told.put(str(message.params.uri))

    async with client(door.url, door.headers, OLD, message_handler=heard) as mcp, asyncio.timeout(30):
        await mcp.session.send_request(
            types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri)), types.EmptyResult
        )
        await door.host.reply(task, "red")
        assert await told.get() == uri
    async with client(door.url, await enter(door, "bob", "user"), OLD) as mcp:
        with pytest.raises(MCPError, match="there is no task"):
            await mcp.session.send_request(
                types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri)), types.EmptyResult
            )
