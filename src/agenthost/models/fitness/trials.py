"""What is tried, one function each: calls of tools by every way, a schema, pictures."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, cast

import msgspec
from msgspec import Struct

from agenthost.core.models import Calling, ModelAnswer, Turn
from agenthost.core.parts import FilePart, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.dialects.fitted import dress, undress
from agenthost.models.fitness.calls import Caller, Refused
from agenthost.models.fitness.haystack import code
from agenthost.models.fitness.pictures import puzzles

LOOK_UP = ToolSpec(
    "look_up_part",
    "Look up a part in the catalogue by its code.",
    {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"], "additionalProperties": False},
)
KEEP_NOTE = ToolSpec(
    "keep_note",
    "Keep a note.",
    {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "text": {"type": "string"},
            "stars": {"type": "integer"},
            "done": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title", "text", "stars", "done", "tags"],
        "additionalProperties": False,
    },
)
COUNT_PARTS = ToolSpec(
    "count_parts", "How many parts there are in the catalogue.", {"type": "object", "properties": {}}
)
TOOLS = (LOOK_UP, KEEP_NOTE, COUNT_PARTS)

Put = Callable[[bytes], Awaitable[str]]
"""Keeps a picture where the model's adapter finds it; its digest."""


class Native(Struct):
    """What came of calls by the provider's mechanism. `leaked`: they came as text that can be read."""

    works: bool = True
    leaked: bool = True
    parallel: bool = False
    notes: list[str] = msgspec.field(default_factory=list[str])


async def native(caller: Caller, random: Random, rounds: int) -> Native:
    """Offer tools and see whether they are called, with the right arguments, and their results read."""
    found = Native()
    for _ in range(rounds):
        wanted = code(random)
        try:
            answer, marked = await _by(
                caller, "native", f"Look up the part with the code {wanted}. Use the tool for it."
            )
        except Refused as refused:
            return Native(False, False, notes=[f"tools were refused: {refused}"])
        right = _looked_up(answer) == [wanted]
        found.works = found.works and right and marked
        found.leaked = found.leaked and right
        if not right:
            said = answer.text.strip().replace("\n", " ")[:60]
            found.notes.append(
                f"a tool was offered and wanted, and it answered in words: {said!r}"
                if not answer.calls
                else _wrong(answer)
            )
            break
    if found.leaked and not found.works:
        found.notes.append("it writes its calls as text; they are read all the same")
    found.leaked = found.leaked and not found.works
    if not found.works:
        return found
    await _several(caller, random, found)
    await _exactly(caller, random, found)
    await _result(caller, random, found)
    return found


async def _by(
    caller: Caller, calling: Calling, text: str, tools: tuple[ToolSpec, ...] = TOOLS
) -> tuple[ModelAnswer, bool]:
    """The answer with its calls, by one way of calling, and whether the provider marked them."""
    request = caller.request(Turn("user", (TextPart(text),)), tools=tools)
    card = msgspec.structs.replace(caller.card, calling=calling)
    timed = await caller.call(dress(request, card))
    return undress(timed.answer, request, card, timed.thought), bool(timed.answer.calls)


async def _several(caller: Caller, random: Random, found: Native) -> None:
    wanted = [code(random) for _ in range(3)]
    try:
        answer, _ = await _by(
            caller,
            "native",
            f"Look up the parts with the codes {wanted[0]}, {wanted[1]} and {wanted[2]}. Make all three calls of the tool at once, "
            "in this one answer.",
        )
    except Refused as refused:
        found.notes.append(f"several calls at once were refused: {refused}")
        return
    found.parallel = sorted(_looked_up(answer)) == sorted(wanted)
    if not found.parallel:
        found.notes.append(f"of three calls asked for at once, {len(answer.calls)} came")


async def _exactly(caller: Caller, random: Random, found: Native) -> None:
    arguments: dict[str, Any] = {
        "title": f'The "{code(random)}" note',
        "text": f"first line\nsecond line: C:\\new\\{code(random)} é {{x}}",
        "stars": random.randint(100, 999),
        "done": random.random() < 0.5,
        "tags": [code(random), code(random)],
    }
    wanted = msgspec.json.encode(arguments).decode()
    try:
        answer, _ = await _by(caller, "native", f"Call the tool keep_note with exactly these arguments:\n{wanted}")
    except Refused as refused:
        found.notes.append(f"a call with five arguments was refused: {refused}")
        return
    given = [_read(call) for call in answer.calls if call.name == KEEP_NOTE.name]
    if given != [arguments]:
        wrong = [key for key in arguments if not given or given[0].get(key) != arguments[key]]
        found.notes.append(f"arguments don't arrive as they were asked for: {', '.join(wrong) or 'more than one call'}")


async def _result(caller: Caller, random: Random, found: Native) -> None:
    """Whether a tool's result reaches the model: some servers drop it."""
    part, shelf = code(random), code(random)
    call = ToolCall("call_probe_1", LOOK_UP.name, msgspec.json.encode({"code": part}).decode())
    turns = (
        Turn("user", (TextPart(f"On which shelf is the part with the code {part}? Answer with the shelf alone."),)),
        Turn("assistant", calls=(call,)),
        Turn(
            "tool",
            (TextPart(msgspec.json.encode({"code": part, "shelf": shelf}).decode()),),
            call_id=call.id,
            name=call.name,
        ),
    )
    try:
        timed = await caller.call(caller.request(*turns, tools=TOOLS))
    except Refused as refused:
        found.works = False
        found.notes.append(f"the result of a call was refused: {refused}")
        return
    if shelf not in timed.answer.text.upper():
        found.works = False
        found.notes.append("it doesn't see what a tool returned")


async def schema(caller: Caller, random: Random, rounds: int) -> tuple[bool, list[str]]:
    """Whether an answer keeps to a JSON schema that only the request carries."""
    for number in range(rounds):
        words = [code(random).lower() for _ in range(3)]
        wanted: dict[str, Any] = {
            "type": "object",
            "properties": {
                words[0]: {"type": "string", "enum": [words[1], words[2]]},
                "numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 4},
            },
            "required": [words[0], "numbers"],
            "additionalProperties": False,
        }
        question = ("Tell me in a few words why the sky is blue.", "Say hello to me in two short sentences.")[
            number % 2
        ]
        try:
            timed = await caller.ask(question, output_schema=wanted)
        except Refused as refused:
            return False, [f"a JSON schema was refused: {refused}"]
        if not _valid(timed.answer.text, wanted):
            return False, ["it was given a JSON schema and didn't keep to it"]
    return True, []


async def calls_by(caller: Caller, random: Random, calling: Calling, rounds: int) -> bool:
    """Whether calls by grammar, or in fences, come as they should."""
    for _ in range(rounds):
        wanted = code(random)
        try:
            answer, _ = await _by(caller, calling, f"Look up the part with the code {wanted}. Use the tool for it.")
        except Refused:
            return False
        if _looked_up(answer) != [wanted]:
            return False
    return True


async def images(caller: Caller, random: Random, put: Put) -> tuple[bool, list[str]]:
    """Whether it sees what is in pictures that nobody has seen before. One of three may go wrong."""
    right = 0
    for puzzle in puzzles(random):
        picture = FilePart(await put(puzzle.png), "image/png", len(puzzle.png), "probe.png")
        try:
            timed = await caller.ask(puzzle.question, picture)
        except Refused as refused:
            return False, [f"a picture was refused: {refused}"]
        right += _in_order(puzzle.answer, timed.answer.text)
    if right >= 2:
        return True, []
    return False, [f"it takes pictures and doesn't see them: {right} of 3 questions about them were answered rightly"]


def _in_order(wanted: tuple[str, ...], text: str) -> bool:
    said, at = text.lower(), 0
    for word in wanted:
        at = said.find(word.lower(), at)
        if at < 0:
            return False
        at += len(word)
    return len(text) < 400  # an answer that names everything says nothing


def _looked_up(answer: ModelAnswer) -> list[str]:
    return [str(_read(call).get("code")) for call in answer.calls if call.name == LOOK_UP.name]


def _read(call: ToolCall) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _wrong(answer: ModelAnswer) -> str:
    call = answer.calls[0]
    return f"it calls tools wrongly: {call.name} with {call.arguments[:60]}"


def _valid(text: str, wanted: dict[str, Any]) -> bool:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    from jsonschema import Draft202012Validator  # loaded when a model is probed, which is seldom

    return Draft202012Validator(wanted).is_valid(value)  # pyright: ignore[reportUnknownMemberType] # partial stubs
