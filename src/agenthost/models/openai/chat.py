"""Chat Completions: the wire that every server which speaks OpenAI's API knows.

Source: OpenAI's API reference, "Chat Completions" (objects `chat.completion` and
`chat.completion.chunk`). Fields beyond it: `reasoning_content` (DeepSeek, vLLM, llama.cpp) and
`reasoning` (Ollama, OpenRouter).
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
from agenthost.models.openai.sse import Event, Frame
from agenthost.models.openai.wire import (
    BadAnswer,
    Details,
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
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None


class _Body(Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


_body = msgspec.json.Decoder(_Body)


class ChatWire:
    """Writes and reads Chat Completions."""

    path = "/chat/completions"

    def body(self, request: ModelRequest, said: Sequence[Said], shape: Shape) -> dict[str, Any]:
        messages: list[dict[str, Any]] = []
        if request.instructions:
            messages.append({"role": "system", "content": request.instructions})
        messages.extend(_messages(said))
        body: dict[str, Any] = {
            "model": shape.model,
            "messages": messages,
            shape.output_field: request.max_output,
        }
        if shape.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.effort:
            body["reasoning_effort"] = request.effort
        if shape.cache_key:
            body["prompt_cache_key"] = cache_key(request)
        if request.tools:
            body["tools"] = [{"type": "function", "function": function_of(tool)} for tool in request.tools]
        if request.output_schema is not None:
            format = answer_format(request.output_schema)
            body["response_format"] = {"type": "json_schema", "json_schema": format}
        body.update(shape.extra)
        return body

    def reader(self, tell: Tell, names: dict[str, str]) -> "ChatReader":
        return ChatReader(tell, names)

    def whole(self, content: bytes, names: dict[str, str]) -> ModelAnswer:
        body = _decoded(content)
        if not body.choices:
            raise BadAnswer("it holds an empty list of choices")
        choice = body.choices[0]
        if choice.message is None:
            raise BadAnswer("its first choice holds no message")
        reader = ChatReader(lambda delta: None, names)
        reader.take(body, choice.message, choice.finish_reason or "stop")
        return reader.answer()


class ChatReader:
    """Puts the chunks of one streamed answer together."""

    def __init__(self, tell: Tell, names: dict[str, str]) -> None:
        self._teller = Teller(tell)
        self._names = names
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._finish = ""
        self._usage = Usage()
        self._model = ""
        self._choices = False
        self._thought = False
        self.closed = False
        self.frame: Frame | None = None

    @property
    def complete(self) -> bool:
        return bool(self._finish) or (self.closed and (bool(self._text) or bool(self._calls)))

    def feed(self, events: Sequence[Event]) -> None:
        body = None
        for event in events:
            if event.words is not None:
                self._text.append(event.words)
                self._teller.words(event.words)
                continue
            if event.data == b"[DONE]":
                self._close()
                continue
            body = _decoded(event.data)
            if body.choices:
                choice = body.choices[0]
                self.take(body, choice.delta or choice.message or _Message(), choice.finish_reason)
            else:
                self._note(body)
        self._teller.flush()
        if body is not None and len(events) > 1:  # tokens come faster than they are read
            self.frame = _frame(events[-1].data, body)

    def _close(self) -> None:
        self.closed = True
        if not self.complete:
            raise BadAnswer("the stream ended without a message" if self._choices else "it holds no choices")

    def take(self, body: _Body, message: _Message, finish: str | None) -> None:
        """Take in one chunk, or the message of a whole answer."""
        self._note(body)
        self._choices = True
        text = _words(message.content)
        if text:
            self._text.append(text)
            self._teller.words(text)
        reasoning = message.reasoning_content or message.reasoning
        if reasoning:
            self._thought = True
            self._teller.words(reasoning, reasoning=True)
        if message.refusal:
            self._refusal.append(message.refusal)
            self._teller.words(message.refusal)
        for call in message.tool_calls or ():
            self._gather(call)
        if finish:
            self._finish = finish

    def answer(self) -> ModelAnswer:
        calls = [
            own_call(ToolCall(id or f"call_{number}", name, arguments or "{}"), self._names)
            for number, (id, name, arguments) in sorted(self._calls.items())
        ]
        text = "".join(self._text) or "".join(self._refusal)
        if not text and not calls and not self._thought and self._finish not in ("length", "content_filter", "stop"):
            raise BadAnswer("it holds no message")
        for call in calls:
            if not call.name:
                raise BadAnswer("it calls a tool without naming it")
            self._teller.call(call)
        return ModelAnswer(parts_of(text), tuple(calls), self._stop(bool(calls)), self._usage, self._model)

    def _note(self, body: _Body) -> None:
        if body.model:
            self._model = body.model
        if body.usage is not None:
            self._usage = _usage(body.usage)

    def _gather(self, call: _Call) -> None:
        number = call.index
        if number is None:  # some servers leave the index out: an id then begins another call
            number = len(self._calls) if call.id or not self._calls else len(self._calls) - 1
        entry = self._calls.setdefault(number, ["", "", ""])
        if call.id:
            entry[0] = call.id
        if call.function is not None:
            entry[1] = entry[1] or call.function.name or ""
            if call.function.arguments:
                entry[2] += arguments_of(call.function.arguments)

    def _stop(self, calls: bool) -> Literal["end", "calls", "length", "refusal"]:
        if self._finish == "length":
            return "length"
        if self._finish == "content_filter" or (self._refusal and not self._text):
            return "refusal"
        return "calls" if calls else "end"


def _decoded(content: bytes) -> _Body:
    body = decoded(_body, content)
    if body.choices is None or body.error:
        error = error_of(msgspec.json.decode(content))
        if error is not None:
            raise Refused(error)
    return body


_PROBE = "frame"


def _frame(data: bytes, body: _Body) -> Frame | None:
    """The frame of an event that brought words and nothing else."""
    text = _only_words(body)
    if not text:
        return None
    quoted = msgspec.json.encode(text)
    at = data.rfind(quoted)
    if at < 0 or b"\n" in data:
        return None
    before, after = data[: at + 1], data[at + len(quoted) - 1 :]
    # What was found may stand elsewhere too: only the decoder tells what is the words' place.
    try:
        tried = _body.decode(before + _PROBE.encode() + after)
    except msgspec.MsgspecError:
        return None
    return Frame(before, after) if _only_words(tried) == _PROBE else None


def _only_words(body: _Body) -> str:
    """The words of a chunk that has nothing else in it to be read."""
    if not body.choices or body.usage is not None or body.error:
        return ""
    delta, finish = body.choices[0].delta, body.choices[0].finish_reason
    if delta is None or not isinstance(delta.content, str):
        return ""
    other = delta.reasoning_content or delta.reasoning or delta.refusal or delta.tool_calls
    return "" if other or finish else delta.content


def _usage(usage: _Usage) -> Usage:
    return usage_of(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens_details,
        usage.completion_tokens_details,
    )


def _words(content: str | list[dict[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join([str(piece.get("text", "")) for piece in content if piece.get("type") in ("text", "output_text")])


def _messages(said: Sequence[Said]) -> list[dict[str, Any]]:
    """The exchange as messages. A tool's message holds words only, so the pictures of results follow
    after the last result of their round, in a message of the user's."""
    messages: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for entry in said:
        turn = entry.turn
        if turn.role == "tool":
            messages.append({"role": "tool", "tool_call_id": turn.call_id, "content": entry.result})
            if entry.pictures:
                shown.append({"type": "text", "text": f"What {turn.name or turn.call_id} returned:"})
                shown.extend(_piece(picture) for picture in entry.pictures)
            continue
        if shown:
            messages.append({"role": "user", "content": shown})
            shown = []
        messages.append(_user(entry) if turn.role == "user" else _assistant(entry))
    if shown:
        messages.append({"role": "user", "content": shown})
    return messages


def _user(entry: Said) -> dict[str, Any]:
    if entry.pictures:
        return {"role": "user", "content": [_piece(piece) for piece in entry.pieces]}
    return {"role": "user", "content": entry.text}


def _assistant(entry: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": entry.text or None}
    if entry.turn.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": wire_name(call.name), "arguments": sendable(call.arguments)},
            }
            for call in entry.turn.calls
        ]
    elif not entry.text:
        message["content"] = ""
    return message


def _piece(piece: Piece) -> dict[str, Any]:
    match piece:
        case Words(text):
            return {"type": "text", "text": text}
        case Picture(url):
            return {"type": "image_url", "image_url": {"url": url}}
