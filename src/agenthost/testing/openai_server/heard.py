"""Requests of both wires, read as a playbook reads them: whatever a client may say, and no more than that."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any

from agenthost.core.ids import digest
from agenthost.core.models import ModelRequest, Turn
from agenthost.core.parts import FilePart, Part, TextPart
from agenthost.core.tools import ToolCall, ToolSpec

LABEL = "x-agenthost-"


class Malformed(Exception):
    """The request is not of the API's form; its text says where."""


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """What a client tells of the call beside the API: the headers `X-AgentHost-Agent` and so on."""
    return {
        name.lower().removeprefix(LABEL): value for name, value in headers.items() if name.lower().startswith(LABEL)
    }


def request_of(wire: str, body: dict[str, Any], headers: Mapping[str, str]) -> ModelRequest:
    """The request behind a body of `chat` or `responses`. Raises Malformed."""
    try:
        turns, instructions = _chat(body) if wire == "chat" else _responses(body)
        return ModelRequest(
            body["model"],
            instructions,
            tuple(turns),
            tools=tuple(_tool(tool) for tool in _list(body.get("tools"))),
            output_schema=_schema(wire, body),
            key=headers.get("Idempotency-Key", ""),
            metadata=metadata_of(headers),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"the request is not of the API's form ({error!r})") from None


def _chat(body: dict[str, Any]) -> tuple[list[Turn], str]:
    turns: list[Turn] = []
    instructions: list[str] = []
    tools: dict[str, str] = {}
    for message in _list(body["messages"]):
        role, content = message["role"], message.get("content")
        if role in ("system", "developer"):
            instructions.append(_words(content))
        elif role == "tool":
            turns.append(_result(message["tool_call_id"], tools, _parts(content)))
        elif role == "assistant":
            calls = [(call["id"], call["function"]) for call in _list(message.get("tool_calls"))]
            made = tuple(ToolCall(id, function["name"], function["arguments"]) for id, function in calls)
            tools.update({call.id: call.name for call in made})
            turns.append(Turn("assistant", _parts(content), made))
        elif role == "user":
            turns.append(Turn("user", _parts(content)))
        else:
            raise Malformed(f"there is no role '{role}'")
    return turns, "\n".join(instructions)


def _responses(body: dict[str, Any]) -> tuple[list[Turn], str]:
    given = body["input"]
    turns: list[Turn] = [Turn("user", _parts(given))] if isinstance(given, str) else []
    instructions = [body.get("instructions") or ""]
    tools: dict[str, str] = {}
    for item in [] if isinstance(given, str) else _list(given):
        match item.get("type", "message"):
            case "message" if item["role"] in ("system", "developer"):
                instructions.append(_words(item["content"]))
            case "message" if item["role"] in ("user", "assistant"):
                turns.append(Turn(item["role"], _parts(item["content"])))
            case "function_call":
                call = ToolCall(item["call_id"], item["name"], item["arguments"])
                tools[call.id] = call.name
                # Words and calls of one turn are items of their own on this wire.
                last = turns.pop() if turns and turns[-1].role == "assistant" else Turn("assistant")
                turns.append(Turn("assistant", last.parts, (*last.calls, call)))
            case "function_call_output":
                turns.append(_result(item["call_id"], tools, _parts(item["output"])))
            case "reasoning":
                pass
            case other:
                raise Malformed(f"there is no item of type '{other}'")
    return turns, "\n".join(filter(None, instructions))


def _result(call: str, tools: dict[str, str], parts: tuple[Part, ...]) -> Turn:
    if call not in tools:
        raise Malformed(f"a result answers the call '{call}', which nobody made")
    first = parts[0].text if parts and isinstance(parts[0], TextPart) else ""
    return Turn("tool", parts, call_id=call, name=tools[call], error=first[:5].lower() == "error")


def _parts(content: Any) -> tuple[Part, ...]:
    if content is None or isinstance(content, str):
        return (TextPart(content),) if content else ()
    return tuple(_part(piece) for piece in content)


def _part(piece: dict[str, Any]) -> Part:
    match piece["type"]:
        case "text" | "input_text" | "output_text":
            return TextPart(piece["text"])
        case "refusal":
            return TextPart(piece["refusal"])
        case "image_url":
            return _picture(piece["image_url"]["url"])
        case "input_image":
            return _picture(piece["image_url"])
        case other:
            raise Malformed(f"there is no content of type '{other}'")


def _picture(url: str) -> FilePart:
    """A picture in a data URL (RFC 2397), by the hash of its bytes."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise Malformed("a picture must be a data URL in base64")
    try:
        content = b64decode(data, validate=True)
    except Base64Error:
        raise Malformed("a picture is not base64") from None
    return FilePart(digest(content), head.removeprefix("data:").removesuffix(";base64"), len(content))


def pictures_of(body: Any) -> dict[str, bytes]:
    """The pictures anywhere in a body, by the hash of their bytes."""
    if isinstance(body, str) and body.startswith("data:image/"):
        content = b64decode(body.partition(",")[2])
        return {digest(content): content}
    inner: list[Any] = list(body.values()) if isinstance(body, dict) else body if isinstance(body, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return {name: content for item in inner for name, content in pictures_of(item).items()}


def _words(content: Any) -> str:
    return "\n".join(part.text for part in _parts(content) if isinstance(part, TextPart))


def _tool(tool: dict[str, Any]) -> ToolSpec:
    function = tool.get("function", tool)
    return ToolSpec(function["name"], function.get("description") or "", function.get("parameters") or {})


def _schema(wire: str, body: dict[str, Any]) -> dict[str, Any] | None:
    form = _dict(body.get("response_format") if wire == "chat" else _dict(body.get("text")).get("format"))
    if form.get("type") != "json_schema":
        return None
    return form["json_schema"]["schema"] if wire == "chat" else form["schema"]


def _list(value: Any) -> list[Any]:
    return value or []


def _dict(value: Any) -> dict[str, Any]:
    return value or {}
