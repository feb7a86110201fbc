"""MCP's tasks are the host's, in the way of each revision, also after a restart; and requests that are given up."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from agenthost.core.api import Order
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from tests.faces.over_mcp.clients import NEW, OLD, Plain, client, plain
from tests.faces.over_mcp.conftest import Door, Opens

EXTENSION = "io.modelcontextprotocol/tasks"
CAN: dict[str, Any] = {"extensions": {EXTENSION: {}}, "elicitation": {}}
SLEEP = {"name": "sleeper", "arguments": {"text": "sleep"}}


async def until(mcp: Plain, task: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (told := await mcp.ask("tasks/get", {"taskId": task}))["status"] != status:
            await asyncio.sleep(0.05)
    return told


async def ended(door: Door, task: str) -> str:
    async with asyncio.timeout(30):
        while (row := (await door.host.task(task)).row).state not in FINAL:
            await asyncio.sleep(0.05)
    return row.state


async def began(door: Door) -> str:
    async with asyncio.timeout(30):
        while not (rows := await door.host.tasks(_roots())) or rows[0].state != "working":
            await asyncio.sleep(0.05)
    return rows[0].id


async def waiting(door: Door) -> str:
    async with asyncio.timeout(30):
        while not (rows := await door.host.tasks(_roots())) or rows[0].state != "input-required":
            await asyncio.sleep(0.05)
    return rows[0].id


def _roots() -> Any:
    from agenthost.core.ports import Filter

    return Filter(roots_only=True, limit=1)


# --- 2025-11-25: the client asks for a task -----------------------------------------------------------


async def test_a_call_as_a_task_and_its_result_over_another_connection(door: Door) -> None:
    async with plain(door.url, door.headers, OLD) as mcp:
        made = await mcp.ask("tools/call", {"name": "echo", "arguments": {"text": "x"}, "task": {"ttl": 60000}})
        told = await until(mcp, made["task"]["taskId"], "completed")
    task = made["task"]["taskId"]
    async with plain(door.url, door.headers, OLD) as mcp:
        result = await mcp.ask("tasks/result", {"taskId": task})
        listed = await mcp.ask("tasks/list")
    assert {"taskId", "status", "createdAt", "lastUpdatedAt", "ttl", "pollInterval"} <= told.keys()
    assert result["content"][0]["text"] == "You said x"
    assert result["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": task}
    assert [one["taskId"] for one in listed["tasks"]] == [task]


async def test_the_result_of_a_task_that_waits_asks_who_wants_it(opens: Opens) -> None:
    """And it outlives the host."""
    async with opens() as door, plain(door.url, door.headers, OLD) as mcp:
        made = await mcp.ask("tools/call", {"name": "asker", "arguments": {"text": "x"}, "task": {}})
        task = made["task"]["taskId"]
        await until(mcp, task, "input_required")
    async with opens() as door, asyncio.TaskGroup() as group, plain(door.url, door.headers, OLD) as mcp:
        waiting = group.create_task(mcp.ask("tasks/result", {"taskId": task, "_meta": {"progressToken": "p"}}))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        async with plain(door.url, door.headers, OLD) as other:
            answer = {"name": "agenthost_answer", "arguments": {"task": task, "answer": "blue"}}
            await other.ask("tools/call", answer)
        result = await waiting
    assert "blue" in result["content"][0]["text"]
    heard = [each for each in mcp.heard if each.get("method") in ("notifications/progress", "notifications/message")]
    assert {each["method"] for each in heard} == {"notifications/progress", "notifications/message"}
    for each in (*(each["params"] for each in heard), result):
        assert each["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": task}


async def test_a_task_is_cancelled_and_what_has_ended_is_not(door: Door) -> None:
    async with plain(door.url, door.headers, OLD) as mcp:
        task = (await mcp.ask("tools/call", SLEEP | {"task": {}}))["task"]["taskId"]
        cancelled = await mcp.ask("tasks/cancel", {"taskId": task})
        again = await mcp.ask("tasks/cancel", {"taskId": task})
        result = await mcp.ask("tasks/result", {"taskId": task})
    assert cancelled["status"] == "cancelled"
    assert again["error"]["code"] == -32602
    assert result["isError"]


async def test_a_session_knows_what_is_said_of_tasks(door: Door) -> None:
    async with client(door.url, door.headers, OLD) as mcp:
        can = mcp.server_capabilities
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
    assert can is not None and can.tasks is not None and can.tasks.requests is not None
    assert tools["echo"].execution is not None and tools["echo"].execution.task_support == "optional"
    async with plain(door.url, door.headers, OLD) as mcp:
        unknown = await mcp.ask("tasks/get", {"taskId": "nonsense"})
        built_in = await mcp.ask("tools/call", {"name": "agenthost_wait", "arguments": {}, "task": {}})
        newer = await mcp.ask("tasks/update", {"taskId": "x", "inputResponses": {}})
        page = await mcp.ask("tasks/list", {"cursor": "nonsense"})
    assert unknown["error"]["code"] == page["error"]["code"] == -32602
    assert built_in["error"]["code"] == newer["error"]["code"] == -32601


# --- 2026-07-28: the host decides ---------------------------------------------------------------------


async def test_what_takes_long_becomes_a_task_where_the_client_can_do_with_one(door: Door) -> None:
    async with plain(door.url, door.headers, can=CAN) as mcp:
        quick = await mcp.ask("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        made = await mcp.ask("tools/call", SLEEP)
        told = await mcp.ask("tasks/get", {"taskId": made["taskId"]})
        assert await mcp.ask("tasks/cancel", {"taskId": made["taskId"]}) | {"_meta": 0} == {
            "resultType": "complete",
            "_meta": 0,
        }
        await until(mcp, made["taskId"], "cancelled")
        again = await mcp.ask("tasks/cancel", {"taskId": made["taskId"]})
    assert quick["resultType"] == "complete"
    assert made["resultType"] == "task"
    assert {"taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"} <= made.keys()
    assert told["status"] == "working" and "result" not in told
    assert again["resultType"] == "complete"


async def test_a_task_asks_and_is_answered_and_gives_its_result_after_a_restart(opens: Opens) -> None:
    async with opens() as door:
        async with plain(door.url, door.headers, OLD) as mcp:  # a task at once
            task = (await mcp.ask("tools/call", {"name": "asker", "arguments": {"text": "x"}, "task": {}}))["task"]
        async with plain(door.url, door.headers, can=CAN) as mcp:
            told = await until(mcp, task["taskId"], "input_required")
    ((key, request),) = told["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    async with opens() as door, plain(door.url, door.headers, can=CAN) as mcp:
        given = {key: {"action": "accept", "content": {"answer": "red"}}}
        updated = await mcp.ask("tasks/update", {"taskId": task["taskId"], "inputResponses": given})
        done = await until(mcp, task["taskId"], "completed")
    assert updated["resultType"] == "complete"
    assert "red" in done["result"]["content"][0]["text"]
    assert done["result"]["isError"] is False


async def test_tasks_are_for_clients_that_say_so(door: Door) -> None:
    async with plain(door.url, door.headers) as mcp:
        for method in ("tasks/get", "tasks/cancel"):
            error = (await mcp.ask(method, {"taskId": "x"}))["error"]
            assert error["code"] == -32021
            assert error["data"]["requiredCapabilities"] == {"extensions": {EXTENSION: {}}}
        discovered = await mcp.ask("server/discover")
    assert discovered["capabilities"]["extensions"] == {EXTENSION: {}}
    async with plain(door.url, door.headers, can=CAN) as mcp:
        for method in ("tasks/list", "tasks/result"):
            assert (await mcp.ask(method, {}))["error"]["code"] == -32601
        assert (await mcp.ask("tasks/get", {"taskId": "nonsense"}))["error"]["code"] == -32602
        other = await mcp.ask("tasks/get", {"taskId": "one"}, **{"Mcp-Name": "two"})
        assert other["error"]["code"] == -32020


@pytest.mark.parametrize("mode", [NEW, OLD])
async def test_a_long_call_tells_a_client_without_tasks_where_to_go_on_waiting(opens: Opens, mode: str) -> None:
    async with opens("[mcp]\npatience = 0.5\n") as door, plain(door.url, door.headers, mode) as mcp:
        first = await mcp.ask("tools/call", SLEEP)
        task = first["_meta"]["dev.agenthost/task"]
        again = await mcp.ask("tools/call", {"name": "agenthost_wait", "arguments": {"task": task}})
        assert (await door.host.task(task)).row.state == "working"
    for result in (first, again):
        assert not result.get("isError")
        assert f'agenthost_wait with {{"task": "{task}"}}' in result["content"][0]["text"]


# --- requests that are given up -----------------------------------------------------------------------


async def test_a_cancelled_request_cancels_the_work(door: Door) -> None:
    async with plain(door.url, door.headers, OLD) as mcp, asyncio.TaskGroup() as group:
        group.create_task(mcp.post("tools/call", SLEEP))
        task = await began(door)
        await mcp.post("notifications/cancelled", {"requestId": 1})
        assert await ended(door, task) == "canceled"


async def test_without_sessions_a_closed_stream_cancels_the_work(door: Door) -> None:
    async with plain(door.url, door.headers) as mcp:
        calling = asyncio.get_running_loop().create_task(mcp.post("tools/call", SLEEP))
        task = await began(door)
        calling.cancel()
        assert await ended(door, task) == "canceled"


async def test_a_stream_that_is_closed_while_its_work_is_being_started_cancels_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, starts = door.host.start, asyncio.Event()

    async def slowly(order: Order) -> TaskRow:
        starts.set()
        await asyncio.sleep(0.3)
        return await started(order)

    monkeypatch.setattr(door.host, "start", slowly)
    async with plain(door.url, door.headers) as mcp:
        calling = asyncio.get_running_loop().create_task(mcp.post("tools/call", SLEEP))
        await starts.wait()
        calling.cancel()
        async with asyncio.timeout(30):
            while not (rows := await door.host.tasks(Filter())):
                await asyncio.sleep(0.05)
        assert await ended(door, rows[0].id) == "canceled"


async def test_who_hangs_up_in_the_middle_of_a_request_is_no_fault(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    async with plain(door.url, door.headers) as mcp:
        await mcp.ask("tools/list")
    address = urlsplit(door.url)
    head = f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {door.token}\r\n"
    head += f"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: {NEW}\r\n"
    before = len(asyncio.all_tasks())
    for _ in range(5):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"{head}Content-Length: 999\r\n\r\n{{".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
    async with asyncio.timeout(30):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.05)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_closed_stream_cancels_its_own_work_and_nobody_elses(door: Door) -> None:
    """Clients without sessions number their requests alike."""
    async with plain(door.url, door.headers) as one, plain(door.url, door.headers) as two:
        first = asyncio.get_running_loop().create_task(one.post("tools/call", SLEEP))
        task = await began(door)
        second = asyncio.get_running_loop().create_task(two.post("tools/call", SLEEP))
        async with asyncio.timeout(30):
            while (other := await began(door)) == task:
                await asyncio.sleep(0.05)
        first.cancel()
        assert await ended(door, task) == "canceled"
        assert (await door.host.task(other)).row.state == "working"
        second.cancel()
        assert await ended(door, other) == "canceled"


async def test_with_sessions_a_broken_connection_leaves_the_work_alone(door: Door) -> None:
    async with plain(door.url, door.headers, OLD) as mcp:
        calling = asyncio.get_running_loop().create_task(mcp.post("tools/call", SLEEP))
        task = await began(door)
        calling.cancel()
        await asyncio.sleep(0.3)
        assert (await door.host.task(task)).row.state == "working"


async def test_a_stream_that_broke_is_taken_up_again_and_brings_the_result(door: Door) -> None:
    async with plain(door.url, door.headers, OLD) as mcp:
        first = await mcp.broken("tools/call", {"name": "asker", "arguments": {"text": "x"}, "_meta": {}})
        task = await waiting(door)
        await door.host.reply(task, "red")
        await ended(door, task)
        messages = await mcp.taken_up(first, 1)
    assert "red" in messages[-1]["result"]["content"][0]["text"]


@pytest.mark.parametrize("mode", [NEW, OLD])
async def test_a_host_that_stops_says_so_and_the_work_goes_on(opens: Opens, mode: str) -> None:
    async with asyncio.TaskGroup() as group:
        async with opens() as door:
            http = plain(door.url, door.headers, mode)
            mcp = await http.__aenter__()
            calling = group.create_task(mcp.ask("tools/call", SLEEP))
            task = await began(door)
        result = await calling
        await http.__aexit__(None, None, None)
    assert result["isError"]
    assert "goes on when it starts again" in result["content"][0]["text"]
    async with opens() as door:
        assert (await door.host.task(task)).row.state == "working"
        async with plain(door.url, door.headers, mode) as mcp:
            cancel = {"name": "agenthost_cancel", "arguments": {"task": task}}
            assert "canceled" in (await mcp.ask("tools/call", cancel))["content"][0]["text"]
