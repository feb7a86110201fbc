"""The built-in tools that another model does: to draw, speak, transcribe and judge.

Each uses the model that the setting of its name in `[models.for]` says. What a call may cost at most is reserved
before it is made. It may be made again after a crash: it writes in the workspace only, and the money is counted twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from agenthost.core.budgets import cost_of
from agenthost.core.errors import BadInput, NotFound, Permanent, Unavailable
from agenthost.core.offers import Drawing, Speech
from agenthost.core.parts import FilePart, Part, TextPart
from agenthost.core.paying import most_of_drawing, most_of_hearing, most_of_judging, most_of_speech
from agenthost.core.ports import Abilities, Tool, ToolContext
from agenthost.core.tools import ToolResult, ToolSpec
from agenthost.tools.workspace import MOST

Find = Callable[[str], Awaitable[Abilities]]
Call = Callable[[Abilities, dict[str, Any], ToolContext, str], Awaitable[ToolResult]]

_SOUNDS = {
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".webm": "audio/webm",
}
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
_SPOKEN = ("mp3", "wav", "opus", "flac", "aac", "pcm")
_MENDABLE = ("bad-request", "refused", "context-too-long")
_PATH = {"type": "string", "description": "Relative to the workspace."}


class MediaTool:
    """A tool that the abilities of a model do. `model` is its name, empty where none is set."""

    def __init__(self, spec: ToolSpec, function: Call, find: Find, model: str) -> None:
        self._spec = spec
        self._function = function
        self._find = find
        self._model = model

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        return self._spec

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        """One call. Raises Unavailable where no model is set, and what the provider's failures mean."""
        name = self._spec.name
        if not self._model:
            raise Unavailable(f"no model is set for the tool '{name}': name one as `{name}` in [models.for]")
        try:
            return await self._function(await self._find(self._model), arguments, context, self._model)
        except (BadInput, NotFound) as error:
            if error.code == "unavailable":
                raise
            return _unpaid(error.message)
        except Permanent as error:
            if error.code not in _MENDABLE:
                raise
            return _unpaid(error.message)

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        """Nobody needs to know: it may be repeated."""
        return None


def media_tools(find: Find, models: Mapping[str, str]) -> list[Tool]:
    """`find` gives a model's abilities; `models`: by a tool's name, the model that it uses."""
    text = {"type": "string", "minLength": 1}
    made: list[tuple[str, str, Call, dict[str, Any], tuple[str, ...], bool]] = [
        ("draw", "Draw a picture, or change given ones, and write it to a file.", _draw, {
            "prompt": text | {"description": "What is to be seen."},
            "path": _PATH | {"description": "Where to write it, such as logo.png."},
            "size": {"type": "string", "pattern": r"^\d+x\d+$", "description": "Such as 1024x1024, in pixels."},
            "quality": {"type": "string", "description": "As the provider calls it, such as low or high."},
            "images": {"type": "array", "items": _PATH, "description": "Pictures to be changed."},
        }, ("prompt", "path"), False),
        ("speak", "Speak words into a sound file.", _speak, {
            "text": text | {"description": "The words."},
            "path": _PATH | {"description": f"Where to write it; its end is one of: {', '.join(_SPOKEN)}."},
            "voice": {"type": "string", "description": "As the provider calls it."},
            "manner": {"type": "string", "description": "How it is to sound, in words."},
        }, ("text", "path"), False),
        ("transcribe", "Write down what is said in a sound file.", _transcribe, {
            "path": _PATH,
            "language": {"type": "string", "description": "As ISO 639-1 has it, such as en."},
        }, ("path",), True),
        ("moderate", "Have words or pictures judged: whether they are harmful, and how.", _moderate, {
            "text": text,
            "images": {"type": "array", "items": _PATH},
        }, (), True),
    ]  # fmt: skip
    tools: list[Tool] = []
    for name, description, function, properties, required, read_only in made:
        parameters: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            parameters["required"] = list(required)
        spec = ToolSpec(name, description, parameters, read_only=read_only, workspace=True)
        tools.append(MediaTool(spec, function, find, models.get(name, "")))
    return tools


async def _draw(abilities: Abilities, arguments: dict[str, Any], context: ToolContext, model: str) -> ToolResult:
    images = tuple([await _picture(path, context) for path in arguments.get("images", ())])
    wanted = Drawing(arguments["prompt"], arguments.get("size", ""), arguments.get("quality", ""), images)
    most = most_of_drawing(abilities.card, wanted)
    await context.reserve(model, most.cost, most.tokens)
    media = await abilities.draw(wanted)
    said = f" The provider drew: {media.revised}" if media.revised else ""
    text = f"Wrote {arguments['path']} ({media.media_type}, {len(media.content)} bytes).{said}"
    return await _written(arguments["path"], media.content, text, context, media.usage.total, media.cost)


async def _speak(abilities: Abilities, arguments: dict[str, Any], context: ToolContext, model: str) -> ToolResult:
    path, words = arguments["path"], arguments["text"]
    kind = PurePosixPath(path).suffix.lower().removeprefix(".")
    if kind not in _SPOKEN:
        raise BadInput(f"'{path}' doesn't say which kind of sound is wanted: end it in one of {', '.join(_SPOKEN)}")
    wanted = Speech(words, arguments.get("voice", ""), kind, manner=arguments.get("manner", ""))
    most = most_of_speech(abilities.card, wanted)
    await context.reserve(model, most.cost, most.tokens)
    media = await abilities.speak(wanted)
    text = f"Wrote {path} ({media.media_type}, {len(media.content)} bytes)."
    return await _written(path, media.content, text, context, media.usage.total, media.cost)


async def _transcribe(abilities: Abilities, arguments: dict[str, Any], context: ToolContext, model: str) -> ToolResult:
    path = arguments["path"]
    kind = _kind(path, _SOUNDS, "sound")
    audio = await context.workspace.read(path)
    card, price = abilities.card, abilities.card.minute_price
    most = most_of_hearing(card, len(audio))
    await context.reserve(model, most.cost, most.tokens)
    heard = await abilities.transcribe(audio, kind, arguments.get("language", ""))
    if price is None:
        cost = cost_of(card, heard.usage) if heard.usage.total else None
    else:
        cost = heard.duration / 60 * price if heard.duration else None
    text = heard.text or "(nothing is said in it)"
    if len(text) > MOST:
        text = f"{text[:MOST]}\n[{len(text) - MOST} more characters are not shown; cut the recording into pieces]"
    return ToolResult((TextPart(text),), tokens=heard.usage.total, cost=cost)


async def _moderate(abilities: Abilities, arguments: dict[str, Any], context: ToolContext, model: str) -> ToolResult:
    parts: list[Part] = [TextPart(arguments["text"])] if arguments.get("text") else []
    for path in arguments.get("images", ()):
        content, kind = await _picture(path, context)
        parts.append(FilePart(await context.blobs.put(content), kind, len(content), path))
    if not parts:
        raise BadInput("moderate needs `text` or `images`")
    most = most_of_judging(abilities.card, parts)
    await context.reserve(model, most.cost, most.tokens)
    found = await abilities.moderate(parts)
    scores = sorted(found.scores.items(), key=lambda score: -score[1])
    lines = ["Harmful." if found.flagged else "Not harmful.", *(f"{name}: {score:.3f}" for name, score in scores)]
    return ToolResult((TextPart("\n".join(lines)),), tokens=most.tokens, cost=most.cost)


async def _picture(path: str, context: ToolContext) -> tuple[bytes, str]:
    kind = _kind(path, _PICTURES, "picture")
    return await context.workspace.read(path), kind


def _kind(path: str, kinds: Mapping[str, str], what: str) -> str:
    kind = kinds.get(PurePosixPath(path).suffix.lower())
    if kind is None:
        raise BadInput(f"'{path}' is no {what} that can be sent: its name must end in one of {', '.join(kinds)}")
    return kind


async def _written(
    path: str, content: bytes, text: str, context: ToolContext, tokens: int, cost: float | None
) -> ToolResult:
    try:
        await context.workspace.write(path, content)
    except BadInput as error:
        return ToolResult((TextPart(error.message),), error=True, tokens=tokens, cost=cost)
    return ToolResult((TextPart(text),), tokens=tokens, cost=cost)


def _unpaid(message: str) -> ToolResult:
    """What the model did wrong, before anything was charged for."""
    return ToolResult((TextPart(message),), error=True, cost=0.0)
