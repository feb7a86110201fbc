"""Answers as both wires write them, whole and in pieces.

Source: OpenAI's API reference, "Chat Completions" (objects `chat.completion` and `chat.completion.chunk`) and
"Responses" (object `response`, "Streaming events"). Ids and times are fixed, so that the same call is answered
byte for byte alike.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from agenthost.core.models import Usage
from agenthost.core.tools import ToolCall
from agenthost.models.playbook import Play
from agenthost.models.scripted import pieces

_CREATED = 1_767_225_600  # seconds since the epoch; a fixed time
_ARGUMENTS = 12  # characters of a call's arguments in one piece


def chat_whole(play: Play, model: str) -> dict[str, Any]:
    """The object `chat.completion`."""
    refused = play.stop == "refusal"
    message: dict[str, Any] = {"role": "assistant", "content": None if refused else play.text or None}
    message["refusal"] = play.text if refused else None
    if play.reasoning:
        message["reasoning_content"] = play.reasoning
    if play.calls:
        message["tool_calls"] = [_chat_call(call) for call in play.calls]
    choice = {"index": 0, "message": message, "finish_reason": _finish(play), "logprobs": None}
    return _chat_head("chat.completion", model) | {"choices": [choice], "usage": _chat_usage(play)}


def chat_stream(play: Play, model: str, usage: bool) -> Iterator[bytes]:
    """The chunks of a streamed answer, each a server-sent event. `usage`: the client asked for it."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event(_chat_head("chat.completion.chunk", model) | {"choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    if play.reasoning:
        yield chunk({"reasoning_content": play.reasoning})
    for piece in pieces(play.text):
        yield chunk({"refusal" if play.stop == "refusal" else "content": piece})
    for index, call in enumerate(play.calls):
        function = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        for arguments in _cut(call.arguments):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
    yield chunk({}, _finish(play))
    if usage:
        yield _event(_chat_head("chat.completion.chunk", model) | {"choices": [], "usage": _chat_usage(play)})
    yield b"data: [DONE]\n\n"


def responses_whole(play: Play, model: str) -> dict[str, Any]:
    """The object `response`."""
    return _response(play, model, _status(play), [item for item, _ in _items(play)])


def responses_stream(play: Play, model: str) -> Iterator[bytes]:
    """The events of a streamed response."""
    number = -1

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        number += 1
        return b"event: " + kind.encode() + b"\n" + _event({"type": kind, "sequence_number": number} | fields)

    yield event("response.created", response=_response(play, model, "in_progress", []))
    for index, (item, steps) in enumerate(_items(play)):
        place = {"item_id": item["id"], "output_index": index}
        yield event("response.output_item.added", output_index=index, item=item | {"status": "in_progress"})
        for kind, fields in steps:
            yield event(kind, **place, **fields)
        yield event("response.output_item.done", output_index=index, item=item)
    status = _status(play)
    yield event(f"response.{status}", response=_response(play, model, status, [item for item, _ in _items(play)]))


_Steps = list[tuple[str, dict[str, Any]]]


def _items(play: Play) -> list[tuple[dict[str, Any], _Steps]]:
    """The output's items, each with the events between its beginning and its end."""
    items: list[tuple[dict[str, Any], _Steps]] = []
    if play.reasoning:
        summary = [{"type": "summary_text", "text": play.reasoning}]
        steps: _Steps = [
            ("response.reasoning_summary_text.delta", {"summary_index": 0, "delta": play.reasoning}),
            ("response.reasoning_summary_text.done", {"summary_index": 0, "text": play.reasoning}),
        ]
        items.append(({"type": "reasoning", "id": "rs_1", "summary": summary}, steps))
    if play.text:
        items.append(_message(play))
    for index, call in enumerate(play.calls):
        item = {"type": "function_call", "id": f"fc_{index}", "call_id": call.id, "name": call.name}
        item |= {"arguments": call.arguments, "status": "completed"}
        steps = [("response.function_call_arguments.delta", {"delta": piece}) for piece in _cut(call.arguments)]
        steps.append(("response.function_call_arguments.done", {"arguments": call.arguments}))
        items.append((item, steps))
    return items


def _message(play: Play) -> tuple[dict[str, Any], _Steps]:
    refused = play.stop == "refusal"
    kind, field = ("response.refusal", "refusal") if refused else ("response.output_text", "text")
    part: dict[str, Any] = {"type": "refusal" if refused else "output_text", field: play.text}
    part |= {} if refused else {"annotations": []}
    place = {"content_index": 0}
    steps: _Steps = [("response.content_part.added", place | {"part": part | {field: ""}})]
    steps += [(f"{kind}.delta", place | {"delta": piece}) for piece in pieces(play.text)]
    steps += [(f"{kind}.done", place | {field: play.text}), ("response.content_part.done", place | {"part": part})]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": _status(play), "content": [part]}
    return item, steps


def _response(play: Play, model: str, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    ended = status != "in_progress"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": _CREATED,
        "model": play.model or model,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "output": output,
        "usage": _responses_usage(play) if ended else None,
    }


def _status(play: Play) -> str:
    return "incomplete" if play.stop == "length" else "completed"


def _finish(play: Play) -> str:
    if play.stop == "length":
        return "length"
    return "tool_calls" if play.calls else "stop"


def _chat_head(kind: str, model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": _CREATED, "model": model}


def _chat_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _chat_usage(play: Play) -> dict[str, Any]:
    usage = play.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": _given(usage),
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _responses_usage(play: Play) -> dict[str, Any]:
    usage = play.usage
    return {
        "input_tokens": usage.input,
        "input_tokens_details": _given(usage),
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _given(usage: Usage) -> dict[str, int]:
    """Details of the input. Only newer models write to the cache at a price."""
    return {"cached_tokens": usage.cached} | (
        {"cache_write_tokens": usage.cache_written} if usage.cache_written else {}
    )


def _cut(arguments: str) -> list[str]:
    return [arguments[start : start + _ARGUMENTS] for start in range(0, len(arguments), _ARGUMENTS)]


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
