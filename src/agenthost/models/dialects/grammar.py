"""Calls as output that a grammar holds to a JSON schema: for servers that keep to one, whatever the model knows of tools.

An answer is one object: `{"calls": [...]}` or `{"answer": ...}`.
"""

import re
from typing import Any, cast

import msgspec

from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.dialects import loose, repair, thinking
from agenthost.models.dialects.names import Offered
from agenthost.models.dialects.schemas import simple
from agenthost.models.dialects.speaking import as_words, described, object_of
from agenthost.models.dialects.wishes import Wish, broken, wishes

TOLD = """\
You can call tools. Your answer is one JSON object, in one of two forms. To call tools:
{"calls": [{"name": "NAME", "arguments": {}}]}
The results come with the next message. Or, when no tool is needed any more, to answer:
{"answer": %s}

The tools:
"""
MOST_CALLS = 8
_HEAD = re.compile(r'\s*\{\s*"answer"\s*:\s*"')
_BODY = re.compile(r'(?:[^"\\]++|\\(?:u[0-9a-fA-F]{4}|[^u]))*', re.DOTALL)
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")


def dress(request: ModelRequest) -> ModelRequest:
    """The request with tools told in words and the schema of an answer; without tools only its turns are in words."""
    turns = as_words(request.turns, _written if request.tools else _plainly)
    if not request.tools:
        return msgspec.structs.replace(request, turns=turns)
    answer = '"your answer"' if request.output_schema is None else "the value that is wanted"
    told = TOLD % answer + described(request.tools)
    return msgspec.structs.replace(
        request,
        instructions=f"{request.instructions}\n\n{told}" if request.instructions else told,
        turns=turns,
        tools=(),
        output_schema=schema_of(request.tools, request.output_schema),
    )


def undress(answer: ModelAnswer, request: ModelRequest, thought: str = "") -> ModelAnswer:
    """The answer read back: its calls, or its words. What isn't of the schema is looked at as text."""
    text = thinking.without_beginning(answer.text, answer.stop == "length").strip()
    if not request.tools or answer.stop == "refusal":
        return repair.repair(answer, request, thought=thought)
    offered = Offered(request.tools)
    try:
        value, _ = loose.read(text)
    except loose.Strange:
        return repair.repair(answer, request, told=True, thought=thought)
    except loose.Cut:
        return _cut(answer, text, request, offered)
    if isinstance(value, dict):
        given = cast(dict[str, Any], value)
        found = wishes(given, offered) if given.get("calls") else None
        if found:
            return _made(answer, found, request, offered)
        if "answer" in given:
            return _said(answer, given["answer"])
    return repair.repair(answer, request, told=True, thought=thought)


def schema_of(tools: tuple[ToolSpec, ...], output: dict[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of an answer: calls of these tools, or words (or a value of `output`)."""
    items = [
        _closed({"name": {"type": "string", "enum": [tool.name]}, "arguments": simple(tool.parameters)})
        for tool in tools
    ]
    calls = {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_CALLS,
        "items": items[0] if len(items) == 1 else {"anyOf": items},
    }
    answer = {"type": "string"} if output is None else simple(output)
    return {"anyOf": [_closed({"calls": calls}), _closed({"answer": answer})]}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _made(answer: ModelAnswer, found: list[Wish], request: ModelRequest, offered: Offered) -> ModelAnswer:
    calls = repair.calls_of(found, request, offered)
    if not calls:
        return answer
    stop = "calls" if answer.stop == "end" else answer.stop
    return msgspec.structs.replace(answer, parts=(), calls=calls, stop=stop)


def _said(answer: ModelAnswer, value: Any) -> ModelAnswer:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return msgspec.structs.replace(answer, parts=(TextPart(text),) if text else ())


def _cut(answer: ModelAnswer, text: str, request: ModelRequest, offered: Offered) -> ModelAnswer:
    """An answer that ended in the middle: its words so far, or its calls, the last one without arguments to be read."""
    said = AnswerText()
    words = said.feed(text)
    if said.found:
        return msgspec.structs.replace(answer, parts=(TextPart(words),) if words else ())
    begin = text.find("[")
    at = begin + 1
    found: list[Wish] = []
    while 0 < at < len(text):
        at = loose.space(text, at)
        try:
            value, end = loose.read(text, at)
        except loose.Strange:
            break
        except loose.Cut:
            last = broken(text, at, len(text), offered)
            found += [last] if last else []
            break
        found += wishes(value, offered) or []
        at = loose.space(text, end)
        if not text.startswith(",", at):
            break
        at += 1
    return _made(answer, found, request, offered) if found else repair.repair(answer, request)


class AnswerText:
    """Reads the words of `{"answer": "..."}` while they come. `found`: that is what comes."""

    def __init__(self) -> None:
        self._head = ""
        self._held = ""
        self.found = False
        self.over = False

    def feed(self, piece: str) -> str:
        """The words that this piece of JSON brings."""
        if self.over:
            return ""
        if not self.found:
            self._head += piece
            head = _HEAD.match(self._head)
            if head is None:
                self.over = len(self._head) > 200
                return ""
            self.found = True
            piece = self._head[head.end() :]
        return self._words(self._held + piece)

    def _words(self, text: str) -> str:
        self._held = ""
        body = _BODY.match(text)
        end = body.end() if body else 0
        words = text[:end]
        if end < len(text) and text[end] == '"':
            self.over = True
        elif end < len(text):
            self._held = text[end:]  # half an escape
        if _HALF.search(words):  # half a character
            words, self._held = words[:-6], words[-6:] + self._held
        try:
            return msgspec.json.decode(f'"{_controls(words)}"', type=str)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return words


def _controls(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _written(text: str, calls: tuple[ToolCall, ...]) -> str:
    if not calls:
        return msgspec.json.encode({"answer": text}).decode(errors="replace")
    written = '{"calls": [' + ", ".join(object_of(call) for call in calls) + "]}"
    return f"{text}\n{written}" if text else written


def _plainly(text: str, calls: tuple[ToolCall, ...]) -> str:
    return "\n".join(piece for piece in (text, *(f"(called {call.name} {call.arguments})" for call in calls)) if piece)
