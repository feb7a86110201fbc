"""Responses: OpenAI's newer wire. Nothing is stored at the provider (`store: false`).

Source: OpenAI's API reference, "Responses" (object `response`, "Streaming events").
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.models import ModelAnswer, ModelRequest, Usage
from agenthost.core.tools import ToolCall
from agenthost.models.openai.content import Picture, Piece, Said, Words
from agenthost.models.openai.names import wire_name
from agenthost.models.openai.reading import decoded
from agenthost.models.openai.schema import answer_format
from agenthost.models.openai.sse import Event
from agenthost.models.openai.wire import (
    BadAnswer,
    Details,
    ErrorBody,
    Refused,
    Shape,
    Tell,
    Teller,
    arguments_of,
    cache_key,
    error_of,
    function_of,
    own_call,
    parts_of,
    sendable,
    usage_of,
)


class _Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class _Content(Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(Struct):
    type: str = ""
    content: list[_Content] | None = None
    call_id: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Incomplete(Struct):
    reason: str | None = None


class _Response(Struct):
    status: str | None = None
    output: list[_Item] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None


class _Event(Struct):
    type: str = ""
    delta: Any = None
    item: _Item | None = None
    output_index: int | None = None
    response: _Response | None = None


_event = msgspec.json.Decoder(_Event)
_response = msgspec.json.Decoder(_Response)


class ResponsesWire:
    """Writes and reads Responses."""

    path = "/responses"

    def body(self, request: ModelRequest, said: Sequence[Said], shape: Shape) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": shape.model,
            "input": [item for entry in said for item in _items(entry)],
            "max_output_tokens": request.max_output,
            "store": False,
        }
        if request.instructions:
            body["instructions"] = request.instructions
        if shape.stream:
            body["stream"] = True
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.effort:
            body["reasoning"] = {"effort": request.effort}
        if shape.cache_key:
            body["prompt_cache_key"] = cache_key(request)
        if request.tools:
            # Left out, `strict` would be taken as wished for, and optional parameters made required.
            body["tools"] = [{"type": "function", **function_of(tool), "strict": False} for tool in request.tools]
        if request.output_schema is not None:
            body["text"] = {"format": {"type": "json_schema", **answer_format(request.output_schema)}}
        body.update(shape.extra)
        return body

    def reader(self, tell: Tell, names: dict[str, str]) -> "ResponsesReader":
        return ResponsesReader(tell, names)

    def whole(self, content: bytes, names: dict[str, str]) -> ModelAnswer:
        response = decoded(_response, content)
        if response.output is None or response.error:
            error = error_of(msgspec.json.decode(content))
            if error is not None:
                raise Refused(error)
        return _answer(response, names)


class ResponsesReader:
    """Takes the events of one streamed response."""

    def __init__(self, tell: Tell, names: dict[str, str]) -> None:
        self._teller = Teller(tell)
        self._names = names
        self._items: dict[int, _Item] = {}
        self._last: _Response | None = None

    @property
    def complete(self) -> bool:
        return self._last is not None

    closed = complete
    frame = None  # every event has a number of its own

    def feed(self, events: Sequence[Event]) -> None:
        for event in events:
            self._take(event)
        self._teller.flush()

    def _take(self, event: Event) -> None:
        if event.data == b"[DONE]":  # not of this API, but some servers close every stream with it
            if not self.complete:
                raise BadAnswer("the stream ended without a response")
            return
        said = decoded(_event, event.data)
        match said.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self._teller.words(str(said.delta or ""))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._teller.words(str(said.delta or ""), reasoning=True)
            case "response.output_item.done":
                self._item(said)
            case "response.completed" | "response.incomplete" | "response.failed":
                self._end(said)
            case "error":
                raise Refused(error_of(msgspec.json.decode(event.data)) or ErrorBody())
            case "":
                error = error_of(msgspec.json.decode(event.data))
                if error is not None:
                    raise Refused(error)
            case _:
                pass

    def answer(self) -> ModelAnswer:
        if self._last is None:
            raise BadAnswer("the stream ended without a response")
        return _answer(self._last, self._names)

    def _item(self, event: _Event) -> None:
        if event.item is None:
            return
        number = len(self._items) if event.output_index is None else event.output_index
        self._items[number] = event.item
        if event.item.type == "function_call":
            self._teller.call(own_call(_call(event.item, number), self._names))

    def _end(self, event: _Event) -> None:
        response = event.response
        if response is None:
            raise BadAnswer("the stream's last event holds no response")
        if event.type == "response.failed":
            raise Refused(error_of({"error": response.error}) or ErrorBody("the response failed"))
        if not response.output and self._items:  # some servers leave the output out of the last event
            response.output = [item for _, item in sorted(self._items.items())]
        self._last = response


def _answer(response: _Response, names: dict[str, str]) -> ModelAnswer:
    if response.status == "failed" or response.error:
        raise Refused(error_of({"error": response.error}) or ErrorBody("the response failed"))
    text: list[str] = []
    refusal: list[str] = []
    calls: list[ToolCall] = []
    for number, item in enumerate(response.output or ()):
        if item.type == "function_call":
            calls.append(own_call(_call(item, number), names))
        elif item.type == "message":
            text += [piece.text for piece in item.content or () if piece.type == "output_text" and piece.text]
            refusal += [piece.refusal for piece in item.content or () if piece.type == "refusal" and piece.refusal]
    reason = response.incomplete_details.reason if response.incomplete_details else None
    if not response.output and not reason:
        raise BadAnswer("it holds an empty list of outputs")
    if not (text or refusal or calls or reason) and not any(item.type == "message" for item in response.output or ()):
        raise BadAnswer("it holds no message")
    stop: Literal["end", "calls", "length", "refusal"] = "calls" if calls else "end"
    if reason == "max_output_tokens":
        stop = "length"
    elif reason == "content_filter" or (refusal and not text):
        stop = "refusal"
    said = "".join(text) or "".join(refusal)
    return ModelAnswer(parts_of(said), tuple(calls), stop, _usage(response.usage), response.model or "")


def _call(item: _Item, number: int) -> ToolCall:
    if not item.name:
        raise BadAnswer("it calls a tool without naming it")
    return ToolCall(item.call_id or item.id or f"call_{number}", item.name, arguments_of(item.arguments))


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    return usage_of(usage.input_tokens, usage.output_tokens, usage.input_tokens_details, usage.output_tokens_details)


def _items(entry: Said) -> list[dict[str, Any]]:
    turn = entry.turn
    if turn.role == "user":
        content: Any = [_piece(piece) for piece in entry.pieces] if entry.pictures else entry.text
        return [{"role": "user", "content": content}]
    if turn.role == "tool":
        output: Any = entry.result
        if entry.pictures:
            output = [_piece(Words(entry.result)), *(_piece(picture) for picture in entry.pictures)]
        return [{"type": "function_call_output", "call_id": turn.call_id, "output": output}]
    items: list[dict[str, Any]] = []
    if entry.text or not turn.calls:
        items.append({"role": "assistant", "content": entry.text})
    items += [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": wire_name(call.name),
            "arguments": sendable(call.arguments),
        }
        for call in turn.calls
    ]
    return items


def _piece(piece: Piece) -> dict[str, Any]:
    match piece:
        case Words(text):
            return {"type": "input_text", "text": text}
        case Picture(url):
            return {"type": "input_image", "image_url": url, "detail": "auto"}
