"""Anthropic's Messages API. Source: its API reference, "Create a Message", "Streaming Messages", "Errors"."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from agenthost.core.models import ModelRequest, Turn
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.playbook import FailKind, Play
from agenthost.models.scripted import pieces
from agenthost.testing.openai_server.heard import Malformed, metadata_of
from agenthost.testing.providers_server.dialect import Trouble, event, picture, signature

_STOPS = {"end": "end_turn", "calls": "tool_use", "length": "max_tokens", "refusal": "refusal"}
_CUT = 12  # characters of a call's arguments in one piece


class Anthropic:
    """The dialect."""

    name = "anthropic"
    key_header = "x-api-key"
    troubles: ClassVar[Mapping[FailKind, Trouble]] = {
        "rate-limit": Trouble(429, "rate_limit_error", "This request would exceed your rate limit."),
        "server-error": Trouble(500, "api_error", "Internal server error"),
        "overloaded": Trouble(529, "overloaded_error", "Overloaded"),
        "auth": Trouble(401, "authentication_error", "invalid x-api-key"),
        "quota": Trouble(402, "billing_error", "Your credit balance is too low to access the API."),
        "context": Trouble(400, "invalid_request_error", "prompt is too long: 212345 tokens > 200000 maximum"),
        "bad-request": Trouble(400, "invalid_request_error", "The request can't be understood."),
        "not-found": Trouble(404, "not_found_error", "model: claude-nothing"),
    }

    def request(self, body: dict[str, Any], request: web.Request) -> ModelRequest:
        if not request.headers.get("anthropic-version"):
            raise Malformed("anthropic-version: header is required")
        if body["max_tokens"] < 1:
            raise Malformed("max_tokens: must be at least 1")
        turns = _turns(body["messages"])
        _check_thinking(body)
        form: dict[str, Any] = body.get("output_format") or body.get("output_config", {}).get("format") or {}
        return ModelRequest(
            body["model"],
            _words(body.get("system") or ""),
            tuple(turns),
            tools=tuple(
                ToolSpec(t["name"], t.get("description", ""), t["input_schema"]) for t in body.get("tools") or ()
            ),
            output_schema=form.get("schema"),
            max_output=body["max_tokens"],
            key=request.headers.get("Idempotency-Key", ""),
            metadata=metadata_of(request.headers),
        )

    def streams(self, body: dict[str, Any], request: web.Request) -> bool:
        return bool(body.get("stream"))

    def error(self, trouble: Trouble, retry: float | None) -> dict[str, Any]:
        return {"type": "error", "error": {"type": trouble.type, "message": trouble.message}, "request_id": "req_1"}

    def empty(self) -> dict[str, Any]:
        return {"type": "message", "role": "assistant", "content": []}

    def whole(self, play: Play, model: str) -> dict[str, Any]:
        return _head(play, model) | {
            "content": _blocks(play),
            "stop_reason": _STOPS[play.stop],
            "stop_sequence": None,
            "usage": _usage(play),
        }

    def stream(self, play: Play, model: str) -> Iterator[bytes]:
        begun = _usage(play) | {"output_tokens": 1}
        head: dict[str, Any] = _head(play, model) | {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": begun,
        }
        yield event({"type": "message_start", "message": head}, "message_start")
        for index, (start, deltas) in enumerate(_steps(play)):
            kind = "content_block_start"
            yield event({"type": kind, "index": index, "content_block": start}, kind)
            if index == 0:
                yield event({"type": "ping"}, "ping")
            kind = "content_block_delta"
            for delta in deltas:
                yield event({"type": kind, "index": index, "delta": delta}, kind)
            yield event({"type": "content_block_stop", "index": index}, "content_block_stop")
        stop = {"stop_reason": _STOPS[play.stop], "stop_sequence": None}
        yield event({"type": "message_delta", "delta": stop, "usage": _usage(play)}, "message_delta")
        yield event({"type": "message_stop"}, "message_stop")


def _head(play: Play, model: str) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": play.model or model}


def _blocks(play: Play) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if play.reasoning:
        blocks.append({"type": "thinking", "thinking": play.reasoning, "signature": signature(play.reasoning)})
    if play.text:
        blocks.append({"type": "text", "text": play.text})
    for call in play.calls:
        try:
            given = msgspec.json.decode(call.arguments)
        except msgspec.DecodeError:
            given = {}
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": given})
    return blocks


def _steps(play: Play) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each block as it begins, and its deltas."""
    if play.reasoning:
        thought = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(play.reasoning)]
        signed = {"type": "signature_delta", "signature": signature(play.reasoning)}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thought, signed]
    if play.text:
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces(play.text)]
    for call in play.calls:
        cut = [call.arguments[start : start + _CUT] for start in range(0, len(call.arguments), _CUT)]
        start: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield start, [{"type": "input_json_delta", "partial_json": piece} for piece in cut]


def _usage(play: Play) -> dict[str, Any]:
    usage = play.usage
    return {
        "input_tokens": usage.input - usage.cached - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def _turns(messages: list[dict[str, Any]]) -> list[Turn]:
    turns: list[Turn] = []
    tools: dict[str, str] = {}
    for message in messages:
        content = message["content"]
        blocks: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            made = [block for block in blocks if block["type"] == "tool_use"]
            tools = {block["id"]: block["name"] for block in made}
            calls = tuple(
                ToolCall(block["id"], block["name"], msgspec.json.encode(block["input"]).decode()) for block in made
            )
            turns.append(Turn("assistant", _parts(blocks), calls))
            continue
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if answered != set(tools):
            raise Malformed("messages: `tool_use` ids were found without `tool_result` blocks immediately after")
        turns += [_result(block, tools) for block in blocks if block["type"] == "tool_result"]
        if said := _parts([block for block in blocks if block["type"] != "tool_result"]):
            turns.append(Turn("user", said))
        tools = {}
    if not turns or turns[0].role != "user":
        raise Malformed("messages: first message must use the user role")
    return turns


def _result(block: dict[str, Any], tools: dict[str, str]) -> Turn:
    content = block.get("content") or ""
    parts = (TextPart(content),) if isinstance(content, str) else _parts(content)
    return Turn(
        "tool", parts, call_id=block["tool_use_id"], name=tools[block["tool_use_id"]], error=bool(block.get("is_error"))
    )


def _parts(blocks: list[dict[str, Any]]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for block in blocks:
        match block["type"]:
            case "text":
                if not block["text"]:
                    raise Malformed("messages: text content blocks must be non-empty")
                parts.append(TextPart(block["text"]))
            case "image" | "document":
                source = block["source"]
                file = picture(source["data"], source["media_type"])
                if file is None:
                    raise Malformed("image.source.base64: invalid base64 data")
                parts.append(file)
            case "thinking":
                if block["signature"] != signature(block["thinking"]):
                    raise Malformed("messages: Invalid `signature` in `thinking` block")
            case "tool_use" | "redacted_thinking":
                pass
            case other:
                raise Malformed(f"messages: Input tag '{other}' is not known")
    return tuple(parts)


def _check_thinking(body: dict[str, Any]) -> None:
    thinking: dict[str, Any] = body.get("thinking") or {}
    if thinking.get("type") not in ("enabled", "adaptive"):
        return
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        raise Malformed("max_tokens must be greater than thinking.budget_tokens")
    if body.get("temperature", 1) != 1:
        raise Malformed("`temperature` may only be set to 1 when thinking is enabled")
    last = body["messages"][-1]["content"]
    going_on = not isinstance(last, str) and any(block["type"] == "tool_result" for block in last)
    if going_on and body["messages"][-2]["content"][0]["type"] not in ("thinking", "redacted_thinking"):
        raise Malformed("messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`")


def _words(system: str | list[dict[str, Any]]) -> str:
    return system if isinstance(system, str) else "\n".join(block["text"] for block in system)
