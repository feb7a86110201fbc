"""What MCP's conformance suite asks a server to have, as a server that a host publishes: a module as anybody may write.

The names and the words are the suite's (`conformance list --server`, and each scenario's description).
"""

import asyncio
import base64
import json
import struct
import zlib
from typing import Annotated, Any

import mcp.types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field


def _png() -> str:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    made = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(made).decode()


def _wav() -> str:
    data = b"\0\0"
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 38, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 2)
    return base64.b64encode(head + data).decode()


PNG, WAV = _png(), _wav()
ABOUT = "Does what the scenario of its name wants."
PICTURE = types.ImageContent(data=PNG, mime_type="image/png")


async def json_schema_2020_12_tool(**given: Any) -> str:
    return "done"


SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


# No annotation says such a schema.
_SCHEMED = Tool.from_function(json_schema_2020_12_tool, description=ABOUT).model_copy(update={"parameters": SCHEMA})
server: MCPServer[Any] = MCPServer("everything", version="1.0.0", tools=[_SCHEMED])


def text(words: str) -> types.TextContent:
    return types.TextContent(text=words)


def embedded(uri: str, media: str, words: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=media, text=words))


# --- tools ------------------------------------------------------------------------------------------


@server.tool(description=ABOUT)
async def test_simple_text() -> str:
    return "This is a simple text response for testing."


@server.tool(description=ABOUT)
async def test_image_content() -> list[types.ImageContent]:
    return [PICTURE]


@server.tool(description=ABOUT)
async def test_audio_content() -> list[types.AudioContent]:
    return [types.AudioContent(data=WAV, mime_type="audio/wav")]


@server.tool(description=ABOUT)
async def test_embedded_resource() -> list[types.EmbeddedResource]:
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool(description=ABOUT)
async def test_multiple_content_types() -> list[types.TextContent | types.ImageContent | types.EmbeddedResource]:
    data = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return [text("Multiple content types test:"), PICTURE, data]


@server.tool(description=ABOUT)
async def test_error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


async def _log(ctx: Context[Any, Any], words: str) -> None:
    params = types.LoggingMessageNotificationParams(level="info", data=words)
    if ctx.protocol_version is None or ctx.protocol_version < "2026-07-28":
        message = types.LoggingMessageNotification(params=params)
        await ctx.session.send_notification(message, related_request_id=ctx.request_id)


@server.tool(description=ABOUT)
async def test_tool_with_logging(ctx: Context[Any, Any]) -> str:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await _log(ctx, words)
        await asyncio.sleep(0.05)
    return "done"


@server.tool(description=ABOUT)
async def test_logging_tool(ctx: Context[Any, Any]) -> str:
    await _log(ctx, "only for who wants it")
    return "done"


@server.tool(description=ABOUT)
async def test_tool_with_progress(ctx: Context[Any, Any]) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return "done"


@server.tool(description=ABOUT)
async def test_sampling(prompt: str, ctx: Context[Any, Any]) -> str:
    params = types.CreateMessageRequestParams(
        messages=[types.SamplingMessage(role="user", content=text(prompt))], max_tokens=100
    )
    answer = await ctx.session.send_request(
        types.CreateMessageRequest(params=params), types.CreateMessageResult, metadata=_related(ctx)
    )
    return f"LLM response: {getattr(answer.content, 'text', '')}"


def _related(ctx: Context[Any, Any]) -> Any:
    from mcp.shared.message import ServerMessageMetadata

    return ServerMessageMetadata(related_request_id=ctx.request_id)


class Person(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


async def _elicit(ctx: Context[Any, Any], message: str, schema: dict[str, Any]) -> str:
    found = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={found.action}, content={json.dumps(found.content or {})}"


@server.tool(description=ABOUT)
async def test_elicitation(message: str, ctx: Context[Any, Any]) -> str:
    return f"User response: {await _elicit(ctx, message, Person.model_json_schema())}"


@server.tool(description=ABOUT)
async def test_elicitation_sep1034_defaults(ctx: Context[Any, Any]) -> str:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return f"Elicitation completed: {await _elicit(ctx, 'Who?', {'type': 'object', 'properties': fields})}"


@server.tool(description=ABOUT)
async def test_elicitation_sep1330_enums(ctx: Context[Any, Any]) -> str:
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{at}", "title": f"Choice {at}"} for at in (1, 2, 3)]
    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return f"Elicitation completed: {await _elicit(ctx, 'Which?', {'type': 'object', 'properties': fields})}"


@server.tool(description=ABOUT)
async def test_reconnection(ctx: Context[Any, Any]) -> str:
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return "Reconnection test completed"


@server.tool(description=ABOUT)
async def test_missing_capability(ctx: Context[Any, Any]) -> str:
    can = ctx.client_capabilities
    if can is None or can.sampling is None:
        raise MCPError(-32021, "This tool needs sampling", data={"requiredCapabilities": {"sampling": {}}})
    return "done"


@server.tool(description=ABOUT)
async def test_streaming_elicitation(ctx: Context[Any, Any]) -> types.CallToolResult | types.InputRequiredResult:
    await ctx.report_progress(1, 2)
    return _asks(user_name=NAME) if ctx.input_responses is None else types.CallToolResult(content=[text("done")])


@server.tool(description=ABOUT)
async def test_trigger_tool_change(ctx: Context[Any, Any]) -> str:
    await ctx.notify_tools_changed()
    return "changed"


@server.tool(description=ABOUT)
async def test_trigger_prompt_change(ctx: Context[Any, Any]) -> str:
    await ctx.notify_prompts_changed()
    return "changed"


@server.tool(description=ABOUT)
async def test_custom_headers(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})], query: str = ""
) -> str:
    return f"{region}: {query}"


# --- input required ---------------------------------------------------------------------------------


def _form(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(words: str, most: int) -> types.CreateMessageRequest:
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[types.SamplingMessage(role="user", content=text(words))], max_tokens=most
        )
    )


NAME = _form("What is your name?", "name")
Asked = types.CallToolResult | types.InputRequiredResult


def _asks(state: str | None = None, /, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def _said(words: str) -> types.CallToolResult:
    return types.CallToolResult(content=[text(words)])


def _field(ctx: Context[Any, Any], key: str, field: str) -> Any:
    given = (ctx.input_responses or {}).get(key)
    return (given.content or {}).get(field) if isinstance(given, types.ElicitResult) else None


@server.tool(description=ABOUT)
async def test_input_required_result_elicitation(ctx: Context[Any, Any]) -> Asked:
    name = _field(ctx, "user_name", "name")
    return _asks(user_name=NAME) if name is None else _said(f"Hello, {name}!")


@server.tool(description=ABOUT)
async def test_input_required_result_sampling(ctx: Context[Any, Any]) -> Asked:
    given = (ctx.input_responses or {}).get("capital_question")
    if not isinstance(given, types.CreateMessageResult):
        return _asks(capital_question=_sample("What is the capital of France?", 100))
    return _said(str(getattr(given.content, "text", "")))


@server.tool(description=ABOUT)
async def test_input_required_result_list_roots(ctx: Context[Any, Any]) -> Asked:
    given = (ctx.input_responses or {}).get("client_roots")
    if not isinstance(given, types.ListRootsResult):
        return _asks(client_roots=types.ListRootsRequest())
    return _said(", ".join(str(root.uri) for root in given.roots))


@server.tool(description=ABOUT)
async def test_input_required_result_request_state(ctx: Context[Any, Any]) -> Asked:
    if ctx.request_state != "asked" or _field(ctx, "confirm", "ok") is None:
        return _asks("asked", confirm=_form("Please confirm", "ok", "boolean"))
    return _said("state-ok")


@server.tool(description=ABOUT)
async def test_input_required_result_tampered_state(ctx: Context[Any, Any]) -> Asked:
    if ctx.request_state is None:
        return _asks("asked", confirm=_form("Please confirm", "ok", "boolean"))
    return _said("confirmed")


@server.tool(description=ABOUT)
async def test_input_required_result_multiple_inputs(ctx: Context[Any, Any]) -> Asked:
    wanted = {
        "user_name": NAME,
        "greeting": _sample("Generate a greeting", 50),
        "client_roots": types.ListRootsRequest(),
    }
    if ctx.request_state is None or not wanted.keys() <= (ctx.input_responses or {}).keys():
        return _asks("asked", **wanted)
    return _said("all there")


@server.tool(description=ABOUT)
async def test_input_required_result_multi_round(ctx: Context[Any, Any]) -> Asked:
    if ctx.request_state is None:
        return _asks("one", step1=_form("Step 1: What is your name?", "name"))
    if ctx.request_state == "one":
        return _asks("two", step2=_form("Step 2: What is your favorite color?", "color"))
    return _said(f"You like {_field(ctx, 'step2', 'color')}.")


@server.tool(description=ABOUT)
async def test_input_required_result_capabilities(ctx: Context[Any, Any]) -> Asked:
    can = ctx.client_capabilities or types.ClientCapabilities()
    wanted: dict[str, Any] = {}
    if can.elicitation is not None:
        wanted["user_name"] = NAME
    if can.sampling is not None:
        wanted["greeting"] = _sample("Generate a greeting", 50)
    return _asks(**wanted) if wanted and ctx.input_responses is None else _said("done")


# --- resources --------------------------------------------------------------------------------------


@server.resource("test://static-text", mime_type="text/plain")
async def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
async def static_binary() -> bytes:
    return base64.b64decode(PNG)


@server.resource("test://watched-resource", mime_type="text/plain")
async def watched() -> str:
    return "Watched."


@server.resource("test://template/{id}/data", mime_type="application/json")
async def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


# --- prompts ----------------------------------------------------------------------------------------


def _message(content: Any) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=content)


@server.prompt(description=ABOUT)
async def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


@server.prompt(description=ABOUT)
async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt(description=ABOUT)
async def test_prompt_with_embedded_resource(resourceUri: str) -> list[Any]:
    from mcp.server.mcpserver.prompts.base import UserMessage

    data = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(data), UserMessage("Please process the embedded resource above.")]


@server.prompt(description=ABOUT)
async def test_prompt_with_image() -> list[Any]:
    from mcp.server.mcpserver.prompts.base import UserMessage

    return [UserMessage(PICTURE), UserMessage("Please analyze the image above.")]


@server.prompt(description=ABOUT)
async def test_input_required_result_prompt(ctx: Context[Any, Any]) -> Any:
    context = _field(ctx, "user_context", "context")
    if context is None:
        return _asks(user_context=_form("What context should the prompt use?", "context"))
    return f"Use this context: {context}"


@server.completion()
async def complete(ref: Any, argument: types.CompletionArgument, context: Any) -> types.Completion:
    known = [one for one in ("paris", "park", "party") if one.startswith(argument.value)]
    return types.Completion(values=known, total=len(known), has_more=False)
