"""Agents and workflows as tools, their files as resources, over both revisions, by the official client."""

import base64
import json
from typing import Any

import httpx
import mcp.types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.faces.over_mcp.clients import NEW, OLD, client, plain
from tests.faces.over_mcp.conftest import Door
from tests.faces.over_mcp.everything import PNG

MODES = pytest.mark.parametrize("mode", [NEW, OLD])


def words(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


@MODES
async def test_agents_and_workflows_are_tools_with_what_they_take(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
    assert tools["echo"].description == "Says it back."
    assert tools["echo"].input_schema["required"] == ["text"]
    assert tools["judge"].output_schema is not None
    greet = tools["greet"].input_schema
    assert greet["required"] == ["name"]
    assert greet["properties"]["name"] == {"type": "string", "description": "Whom."}
    assert greet["properties"]["times"] == {"type": "integer", "default": 2}
    assert "image/png" in greet["properties"]["picture"]["description"]
    assert {"agenthost_wait", "agenthost_answer", "agenthost_cancel"} <= tools.keys()


@MODES
async def test_an_agent_and_a_workflow_answer(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        said = await mcp.call_tool("echo", {"text": "one two"})
        greeted = await mcp.call_tool("greet", {"name": "Ada"})
    assert (said.is_error, words(said)) == (False, "You said one two")
    assert (greeted.is_error, words(greeted)) == (False, "You said Hello Ada 2")
    assert said.meta is not None
    row = (await door.host.task(str(said.meta["dev.agenthost/task"]))).row
    assert (row.name, row.state, row.person) == ("echo", "completed", "owner")


@MODES
async def test_an_agent_with_an_output_schema_gives_structured_content(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        result = await mcp.call_tool("judge", {"text": "this"})
    assert result.structured_content == {"mark": 7}
    assert json.loads(words(result)) == {"mark": 7}


@MODES
async def test_files_go_in_as_base64_and_come_back_by_address(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        result = await mcp.call_tool("echo", {"text": "see", "files": [{"name": "dot.png", "data": PNG}]})
        spec = (await door.host.events(str((result.meta or {})["dev.agenthost/task"]), 0, 1))[0].event.spec  # pyright: ignore
        (file,) = [part for part in spec.message.parts if hasattr(part, "digest")]
        again = await mcp.call_tool("echo", {"text": "see", "files": [{"uri": f"agenthost://files/{file.digest}"}]})
        read = await mcp.read_resource(f"agenthost://files/{file.digest}")
    assert (file.name, file.media_type) == ("dot.png", "image/png")
    assert not again.is_error
    assert isinstance(read.contents[0], types.BlobResourceContents)
    assert base64.b64decode(read.contents[0].blob) == base64.b64decode(PNG)


@MODES
async def test_a_workflow_takes_files_by_name(door: Door, mode: str) -> None:
    picture = {"name": "dot.png", "data": PNG}
    async with client(door.url, door.headers, mode) as mcp:
        result = await mcp.call_tool("greet", {"name": "Ada", "times": 3, "picture": picture})
    assert words(result) == "You said Hello Ada 3"
    spec = (await door.host.events(str((result.meta or {})["dev.agenthost/task"]), 0, 1))[0].event.spec  # pyright: ignore
    assert (spec.inputs["picture"]["name"], spec.inputs["picture"]["media_type"]) == ("dot.png", "image/png")


@MODES
async def test_what_a_task_wrote_is_a_resource(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        result = await mcp.call_tool("writer", {"text": "note it"})
        (link,) = [block for block in result.content if isinstance(block, types.ResourceLink)]
        listed = await mcp.list_resources()
        read = await mcp.read_resource(link.uri)
        task = (result.meta or {})["dev.agenthost/task"]
        detail = await mcp.read_resource(f"agenthost://tasks/{task}")
    assert link.name == "notes/a b.txt"
    assert [str(one.uri) for one in listed.resources] == [link.uri]
    assert isinstance(read.contents[0], types.TextResourceContents)
    assert read.contents[0].text == "Noted.\n"
    assert json.loads(detail.contents[0].text)["row"]["state"] == "completed"  # pyright: ignore


@MODES
@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("echo", {}, "'text' is a required property"),
        ("echo", {"text": 5}, "is not of type 'string'"),
        ("echo", {"text": "x", "more": 1}, "'more' was unexpected"),
        ("echo", {"text": " "}, "say what the agent is to do"),
        ("echo", {"text": "x", "files": [{"data": "&&"}]}, "is not base64"),
        ("echo", {"text": "x", "files": [{"uri": "http://127.0.0.1/"}]}, "fetches nothing"),
        ("echo", {"text": "x", "files": [{"uri": "agenthost://files/sha256:00"}]}, "sha256:00"),
        ("greet", {}, "'name' is a required property"),
        ("greet", {"name": "Ada", "picture": {"name": "a.txt", "data": "aGk="}}, "image/png"),
        ("agenthost_wait", {"task": "nonsense"}, "nonsense"),
        ("agenthost_answer", {"task": "nonsense"}, "give the answer"),
    ],
)
async def test_wrong_arguments_are_a_result_that_says_what_is_wrong(
    door: Door, mode: str, name: str, arguments: dict[str, Any], told: str
) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        await mcp.list_tools()
        result = await mcp.call_tool(name, arguments)
    assert result.is_error
    assert told in words(result)


@MODES
async def test_what_isnt_there_is_an_error_of_the_protocol(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        with pytest.raises(MCPError, match="Unknown tool: nobody"):
            await mcp.call_tool("nobody", {})
        with pytest.raises(MCPError, match="there is no task"):
            await mcp.read_resource("agenthost://tasks/nonsense")
        with pytest.raises(MCPError, match="Resource not found"):
            await mcp.read_resource("test://nowhere")
        for listing in (mcp.list_tools, mcp.list_resources):
            with pytest.raises(MCPError, match="cursor"):
                await listing(cursor="?")
        for uri in ("agenthost://tasks/nonsense", "test://nowhere"):
            with pytest.raises(MCPError) as caught:
                await mcp.read_resource(uri)
            assert caught.value.error.code == (types.INVALID_PARAMS if mode == NEW else -32002)
            assert caught.value.error.data == {"uri": uri}
        with pytest.raises(MCPError, match="needs the argument 'name'"):
            await mcp.get_prompt("greet", {"times": "2"})
        with pytest.raises(MCPError, match="Unknown prompt"):
            await mcp.complete(types.PromptReference(name="nobody"), {"name": "name", "value": ""})
        assert (
            await mcp.complete(types.PromptReference(name="greet"), {"name": "name", "value": ""})
        ).completion.values == []


@MODES
async def test_progress_and_log_messages_tell_what_the_journal_says(door: Door, mode: str) -> None:
    told: list[tuple[float, str | None]] = []
    logged: list[types.LoggingMessageNotificationParams] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async def log(params: types.LoggingMessageNotificationParams) -> None:
        logged.append(params)

    more: dict[str, Any] = {"logging_callback": log}
    async with client(door.url, door.headers, mode, **more) as mcp:
        meta: Any = {"io.modelcontextprotocol/logLevel": "info"} if mode == NEW else None
        await mcp.call_tool("greet", {"name": "Ada"}, progress_callback=progressed, meta=meta)
    lines = [message for _, message in told]
    assert [count for count, _ in told] == sorted({count for count, _ in told})
    assert any("greet: starts agent echo" in (line or "") for line in lines)
    assert any("echo: asks the model" in (line or "") for line in lines)
    messages = [params.data["message"] for params in logged]
    assert any("greet: starts agent echo" in message for message in messages)
    assert not any("asks the model" in message for message in messages)  # that is for `debug`


@MODES
async def test_prompts_and_completion_help_a_person_pick(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        found = {prompt.name: prompt for prompt in (await mcp.list_prompts()).prompts}
        filled = await mcp.get_prompt("greet", {"name": "Ada"})
        result = await mcp.call_tool("writer", {"text": "note it"})
        task = str((result.meta or {})["dev.agenthost/task"])
        template = types.ResourceTemplateReference(uri="agenthost://tasks/{task}/artifacts/{+path}")
        ids = await mcp.complete(template, {"name": "task", "value": task[:6]})
        paths = await mcp.complete(template, {"name": "path", "value": "no"}, context_arguments={"task": task})
    assert [argument.name for argument in found["greet"].arguments or ()] == ["name", "times"]
    assert [argument.required for argument in found["greet"].arguments or ()] == [True, False]
    assert '"name": "Ada"' in filled.messages[0].content.text  # pyright: ignore
    assert ids.completion.values == [task]
    assert paths.completion.values == ["notes/a b.txt"]


async def test_a_long_list_comes_in_pages(door: Door) -> None:
    manifests = "\n---\n".join(
        f"apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {{name: a{at:03}}}\nspec: {{instructions: x}}"
        for at in range(250)
    )
    _, problems = await door.host.apply({"many.yaml": manifests})
    assert not problems
    async with client(door.url, door.headers) as mcp:
        first = await mcp.list_tools()
        second = await mcp.list_tools(cursor=first.next_cursor)
    names = [tool.name for tool in (*first.tools, *second.tools)]
    assert first.next_cursor is not None and second.next_cursor is None
    assert len(first.tools) == 200 and len(names) == len(set(names))
    assert {"a000", "a249", "echo", "agenthost_wait"} <= set(names)


async def test_the_same_key_starts_the_work_once(door: Door) -> None:
    meta = {"dev.agenthost/idempotencyKey": "one"}
    async with plain(door.url, door.headers) as mcp:
        call = {"name": "echo", "arguments": {"text": "x"}, "_meta": meta}
        first, second = await mcp.ask("tools/call", call), await mcp.ask("tools/call", call)
    assert first["_meta"]["dev.agenthost/task"] == second["_meta"]["dev.agenthost/task"]
    assert first["content"] == second["content"]


async def test_without_a_token_or_with_a_wrong_one_nobody_comes_in(door: Door) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        async with plain(door.url, headers) as mcp:
            answer = await mcp.post("tools/list")
        assert answer["jsonrpc"] == "2.0"
        assert answer["error"]["data"]["code"] == "unauthenticated"
        async with httpx.AsyncClient(headers=headers) as http:
            challenge = (await http.post(door.url, json={})).headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="agenthost"')
        assert ('error="invalid_token"' in challenge) == bool(headers)  # RFC 6750, section 3.1
