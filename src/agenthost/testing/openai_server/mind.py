"""A small model that can really do what a probe asks, by rules instead of weights: it reads the request and works the
answer out (finds words in texts, reads letters in pictures). With `Vices` it lies, each in a way that real servers do.
"""

import re
import zlib
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from agenthost.core.models import ModelRequest, Usage
from agenthost.core.parts import FilePart
from agenthost.core.tools import ToolCall
from agenthost.models.fitness import pictures
from agenthost.models.playbook import Fail, Play, count_usage

_CODES = re.compile(r"codes? ((?:[A-Z0-9]{6}(?:, | and )?)+)")
_EXACTLY = re.compile(r"tool (\w+) with exactly these arguments:\n(\{.*\})", re.DOTALL)
_GATES = re.compile(r"code word of the (\w+) gate is (\w+)\.")
_CHARACTERS = 4
_HAND = 320
"""Tokens that the model keeps free for instructions where its server cuts."""


class Vices(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the server lies. tools: `ignored` (answers in words), `text` (calls come as text), `malformed` (badly
    written arguments), `one` (never several at once), `refused`, `deaf` (results are dropped). context: tokens that
    are kept of what is sent (0: all), silently, or with an error where `loud`; `uncounted`: it counts what was sent.
    `dies`: tokens from which on it ends without an answer; `dead`: for good, once it has. images: `guessed`, `refused`. schema: `ignored`, `refused`. fences: whether it keeps to a form told in words."""

    tools: Literal["", "ignored", "text", "malformed", "one", "refused", "deaf"] = ""
    context: int = 0
    loud: bool = False
    uncounted: bool = False
    dies: int = 0
    dead: bool = False
    images: Literal["", "guessed", "refused"] = ""
    schema: Literal["", "ignored", "refused"] = ""
    fences: bool = True


class SmallModel:
    """Answers a probe, or whoever asks like one."""

    def __init__(self, vices: Vices | None = None) -> None:
        self.vices = vices or Vices()
        self._died = False

    def play(self, request: ModelRequest, seen: dict[str, bytes]) -> Play:
        """The answer to a request, with the pictures in it by digest."""
        vices = self.vices
        if request.tools and vices.tools == "refused":
            return _refusal("this model does not support tools")
        if seen and vices.images == "refused":
            return _refusal("image input is not supported")
        if request.output_schema is not None and vices.schema == "refused":
            return _refusal("response_format json_schema is not supported")
        usage = count_usage(request, "", ())
        if self._died or (vices.dies and usage.input > vices.dies):
            self._died = vices.dead
            return Play(0, fail=Fail("reset"))
        said = _said(request, with_results=vices.tools != "deaf")
        room = max(0, vices.context - _HAND) * _CHARACTERS if vices.context else 0
        if vices.context and usage.input > vices.context:
            if vices.loud:
                return Play(0, fail=Fail("context", message="This request is longer than the context."))
            said = said[-room:]
        text, calls = self._answer(request, said, seen)
        counted = usage.input if vices.uncounted or not vices.context else min(usage.input, vices.context)
        made = len(text) + sum(len(call.arguments) + len(call.name) for call in calls)
        spent = Usage(counted, made // _CHARACTERS + 1)
        return Play(0, text, calls=calls, stop="calls" if calls else "end", usage=spent)

    def _answer(self, request: ModelRequest, said: str, seen: dict[str, bytes]) -> tuple[str, tuple[ToolCall, ...]]:
        if seen:
            return self._sight(request, said, seen), ()
        if "On which shelf" in said:
            shelf = re.search(r'"shelf":\s*"(\w+)"', said)
            return (shelf[1] if shelf else "I don't know."), ()
        wanted = _wanted(said)
        if wanted and self.vices.tools == "one":
            wanted = wanted[:1]
        schema = request.output_schema if self.vices.schema != "ignored" else None
        if wanted and request.tools:
            return self._native(wanted)
        if schema is not None:
            if wanted and "calls" in str(schema):
                return _json({"calls": [{"name": name, "arguments": arguments} for name, arguments in wanted]}), ()
            return _json(_value(schema)), ()
        if wanted and self.vices.fences and "```tool" in request.instructions:
            return "\n".join(f"```tool\n{_json({'name': name, 'arguments': given})}\n```" for name, given in wanted), ()
        if "code word of a gate" in said or "gate's name" in said:
            return "\n".join(f"{gate}: {word}" for gate, word in _GATES.findall(said)) or "unknown", ()
        if count := re.search(r"Count from 1 to (\d+)", said):
            return " ".join(str(number) for number in range(1, int(count[1]) + 1)), ()
        return "I would look that up for you if I knew how.", ()

    def _native(self, wanted: list[tuple[str, dict[str, Any]]]) -> tuple[str, tuple[ToolCall, ...]]:
        if self.vices.tools == "ignored":
            return "Certainly. I have looked it up, and all is well.", ()
        if self.vices.tools == "text":
            return "\n".join(f"<tool_call>\n{_json({'name': n, 'arguments': a})}\n</tool_call>" for n, a in wanted), ()
        written = repr if self.vices.tools == "malformed" else _json
        return "", tuple(ToolCall(f"call_{at}", name, written(given)) for at, (name, given) in enumerate(wanted))

    def _sight(self, request: ModelRequest, said: str, seen: dict[str, bytes]) -> str:
        last = [part for turn in request.turns for part in turn.parts if isinstance(part, FilePart)][-1]
        if self.vices.images == "guessed":
            return "red, green, blue" if "colours" in said else "4711" if "number" in said else "HELLO"
        rows = _pixels(seen[last.digest])
        return ", ".join(_squares(rows)) if "colours" in said else _letters(rows)


def _refusal(message: str) -> Play:
    return Play(0, fail=Fail("bad-request", message=message))


def _said(request: ModelRequest, with_results: bool) -> str:
    return "\n".join(turn.text for turn in request.turns if with_results or turn.role != "tool")


def _wanted(said: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls that are asked for."""
    exactly = _EXACTLY.search(said)
    if exactly:
        return [(exactly[1], msgspec.json.decode(exactly[2]))]
    codes = _CODES.search(said)
    if codes is None or "tool" not in said:
        return []
    return [("look_up_part", {"code": code}) for code in re.findall(r"[A-Z0-9]{6}", codes[1])]


def _value(schema: dict[str, Any]) -> Any:
    """The least value of a schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _value(schema["anyOf"][-1])
    match schema.get("type"):
        case "object":
            properties = cast(dict[str, Any], schema.get("properties", {}))
            return {name: _value(properties[name]) for name in schema.get("required", ())}
        case "array":
            return [_value(schema.get("items", {}))] * int(schema.get("minItems", 0))
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return "words"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


Rows = list[list[pictures.Colour]]


def _pixels(png: bytes) -> Rows:
    """The pixels of a PNG as the probe writes it: 8-bit RGB without filters."""
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    data, at = b"", 8
    while png[at + 4 : at + 8] != b"IEND":
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(data)
    step = width * 3 + 1
    return [
        [(raw[at], raw[at + 1], raw[at + 2]) for at in range(row * step + 1, (row + 1) * step, 3)]
        for row in range(height)
    ]


def _squares(rows: Rows) -> list[str]:
    """The colours of the middle row from left to right."""
    names = {colour: name for name, colour in pictures.COLOURS.items()}
    found: list[str] = []
    before = pictures.WHITE
    for pixel in rows[len(rows) // 2]:
        if pixel != before and pixel in names:
            found.append(names[pixel])
        before = pixel
    return found


def _letters(rows: Rows) -> str:
    """The letters of a picture, each by its dots."""
    dot = pictures.DOT
    dots = [[row[at] == pictures.INK for at in range(dot // 2, len(row), dot)] for row in rows[dot // 2 :: dot]]
    known = {glyph: letter for letter, glyph in pictures.GLYPHS.items()}
    found = ""
    for left in range(1, len(dots[0]) - pictures.WIDTH, pictures.WIDTH + 1):
        glyph = tuple(
            sum(1 << (pictures.WIDTH - 1 - at) for at in range(pictures.WIDTH) if row[left + at])
            for row in dots[1 : 1 + pictures.HEIGHT]
        )
        found += known.get(glyph, "?")
    return found
