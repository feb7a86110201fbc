"""The person's words read by a model that sees nothing else: which tools do they ask for? What a stranger wrote can't
reach it, so that whatever it answers was decided by the person's words alone."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agenthost.core.definitions import PinnedTool
from agenthost.core.schemas import plainly_fits

MOST = 3
"""How often the words of one task are read."""

MOST_OUTPUT = 1_024
"""Tokens of an answer: room for a model that thinks first."""

INSTRUCTIONS = (
    "A person gave an assistant work. Which of the tools listed do the person's words, or the assistant's instructions, "
    "ask it to use: outright, in other words, or once something holds? List those, and none that would only be of use "
    'or that they forbid. Answer with one JSON object and nothing else, such as {"tools": ["name"]}, or {"tools": []}.'
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"tools": {"type": "array", "items": {"type": "string"}}},
    "required": ["tools"],
    "additionalProperties": False,
}


def question(said: Sequence[str], instructions: str, tools: Iterable[PinnedTool]) -> str:
    """What the model is shown. Of a tool that a stranger described only its name is told."""
    lines = [f"- {tool.name}" + ("" if tool.source else f": {tool.description}") for tool in tools]
    told = [
        "Tools:",
        *lines,
        "",
        "The assistant's instructions:",
        instructions.strip() or "(none)",
        "",
        "The person said:",
    ]
    return "\n".join([*told, *said])


def answered(text: str, tools: Iterable[str]) -> tuple[str, ...]:
    """The tools that an answer names, of those that there are; none where it can't be read."""
    start, end = text.find("{"), text.rfind("}")
    try:
        value = msgspec.json.decode(text[start : end + 1])
    except msgspec.DecodeError:
        return ()
    if not plainly_fits(SCHEMA, value):
        return ()
    return tuple(name for name in tools if name in value["tools"])
