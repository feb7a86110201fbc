"""A chat completion as it is told: whole, or as chunks. What never changes in a chunk is encoded once."""

from typing import Any

import msgspec

from agenthost.core.commands import Ask
from agenthost.core.models import Usage
from agenthost.faces.http.openai.content import json_text
from agenthost.faces.http.openai.ids import call_id
from agenthost.faces.http.openai.reader import End, Writer
from agenthost.faces.http.openai.relay import Sink

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder().encode
_AFTER = b'},"logprobs":null,"finish_reason":null}]}\n\n'
_AFTER_COUNTED = b'},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'


class Chunks:
    """Writes the chunks of one answer of a completion, the one with that index."""

    joins = True

    def __init__(self, sink: Sink, id: str, model: str, created: int, counted: bool, index: int = 0) -> None:
        self._sink = sink
        self._index = index
        self._counted = counted
        self._head = _encode({"id": id, "object": "chat.completion.chunk", "created": created, "model": model})[:-1]
        before = b"data: " + self._head + b',"choices":[{"index":%d,"delta":{' % index
        self._text = before + b'"content":'
        self._reasoning = before + b'"reasoning_content":'
        self._before = before
        self._after = _AFTER_COUNTED if counted else _AFTER

    def begin(self) -> None:
        """The first chunk says who speaks."""
        self._sink.put(self._before + b'"role":"assistant","content":"","refusal":null' + self._after)

    def text(self, piece: str, seq: int) -> None:
        self._sink.put(self._text + _encode(piece) + self._after)

    def reasoning(self, piece: str, seq: int) -> None:
        self._sink.put(self._reasoning + _encode(piece) + self._after)

    def turn_over(self, seq: int, more: bool) -> None:
        pass

    def end(self, task: str, end: End, stopped: bool = False) -> None:
        """Calls, the reason of the end."""
        reason = "stop" if stopped and not end.calls else end.reason
        for at, ask in enumerate(end.calls):
            call = {"index": at} | _call(task, ask)
            self._sink.put(self._before + b'"tool_calls":' + _encode([call]) + self._after)
        last: dict[str, Any] = {
            "choices": [{"index": self._index, "delta": {}, "logprobs": None, "finish_reason": reason}]
        }
        if self._counted:
            last["usage"] = None
        self._put(last)

    def over(self, usage: Usage) -> None:
        """Nothing more comes of any answer; what all of them used, if that was asked for."""
        if self._counted:
            self._put({"choices": [], "usage": usage_of(usage)})
        self._sink.put(DONE)

    def _put(self, rest: dict[str, Any]) -> None:
        self._sink.put(b"data: " + self._head + b"," + _encode(rest)[1:] + b"\n\n")


class Stopping:
    """Tells `inner` up to the first of `stops`, and no words after it. What may yet become one is held back."""

    joins = True

    def __init__(self, inner: Writer, stops: tuple[str, ...]) -> None:
        self._inner = inner
        self._stops = stops
        self._held = ""
        self.stopped = False

    def text(self, piece: str, seq: int) -> None:
        if self.stopped:
            return
        text = self._held + piece
        ends = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        self.stopped = bool(ends)
        upto = min(ends) if ends else len(text) - self._begun(text)
        self._held = "" if ends else text[upto:]
        if upto:
            self._inner.text(text[:upto], seq)

    def reasoning(self, piece: str, seq: int) -> None:
        self._inner.reasoning(piece, seq)

    def turn_over(self, seq: int, more: bool) -> None:
        self.rest(seq)
        self._inner.turn_over(seq, more)

    def rest(self, seq: int) -> None:
        """Nothing comes that could complete what was held back."""
        if self._held:
            self._inner.text(self._held, seq)
        self._held = ""

    def _begun(self, text: str) -> int:
        """How many characters at the end are the beginning of a stop."""
        most = min(len(text), max(map(len, self._stops)) - 1)
        for size in range(most, 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops):
                return size
        return 0


class Silence:
    """Tells nothing on the way: for an answer that is told whole. What is said on the way to a call is kept."""

    joins = True

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.thoughts: list[str] = []

    def text(self, piece: str, seq: int) -> None:
        self.pieces.append(piece)

    def reasoning(self, piece: str, seq: int) -> None:
        self.thoughts.append(piece)

    def turn_over(self, seq: int, more: bool) -> None:
        pass


def cut(text: str, stops: tuple[str, ...]) -> str:
    """A text up to the first of `stops`."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def whole(id: str, model: str, created: int, choices: list[dict[str, Any]], usage: Usage) -> bytes:
    """A chat completion."""
    return _encode(
        {
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": choices,
            "usage": usage_of(usage),
            "system_fingerprint": None,
        }
    )


def choice(index: int, task: str, end: End, said: Silence, stops: tuple[str, ...] = ()) -> dict[str, Any]:
    """An answer of a completion. Where its task has ended, its message is what came out; else what was said so far."""
    text = end.text if end.finished is not None else "".join(said.pieces)
    told = cut(text, stops)
    message: dict[str, Any] = {"role": "assistant", "content": told or None, "refusal": None}
    if said.thoughts:
        message["reasoning_content"] = "".join(said.thoughts)
    if end.calls:
        message["tool_calls"] = [_call(task, ask) for ask in end.calls]
    elif message["content"] is None:
        message["content"] = ""
    reason = end.reason if told == text or end.calls else "stop"
    return {"index": index, "message": message, "logprobs": None, "finish_reason": reason}


def _call(task: str, ask: Ask) -> dict[str, Any]:
    function = {"name": ask.tool, "arguments": json_text(ask.arguments)}
    return {"id": call_id(task, ask.id), "type": "function", "function": function}


def usage_of(usage: Usage) -> dict[str, Any]:
    """Tokens as chat completions count them."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }
