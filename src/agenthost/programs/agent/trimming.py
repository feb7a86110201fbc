"""Tool lists for small windows: told shorter, step by step, where they would take more than their share. The tools
themselves, and how calls are checked, stay as they are."""

import re
from collections.abc import Sequence
from typing import Any, cast

from agenthost.core.tools import ToolSpec
from agenthost.programs.agent.context import text_tokens

SHARE = 3
"""Tools may take a third of the window before they are told shorter."""

_SENTENCE = re.compile(r".*?[.!?](?=\s|\Z)|[^\n]+", re.DOTALL)
_SAID = ("description", "title", "examples")


def tool_tokens(specs: Sequence[ToolSpec]) -> int:
    """An estimate, from above, of the tokens of tools."""
    return sum(text_tokens(tool.name + tool.description + str(tool.parameters)) for tool in specs)


def trimmed(specs: tuple[ToolSpec, ...], window: int) -> tuple[ToolSpec, ...]:
    """The tools as a model with that window is told of them: whole; with the first sentence of each description;
    besides without what is said of single arguments."""
    if tool_tokens(specs) > window // SHARE:
        specs = tuple(ToolSpec(tool.name, _first(tool.description), tool.parameters) for tool in specs)
    if tool_tokens(specs) > window // SHARE:
        specs = tuple(ToolSpec(tool.name, tool.description, _bare(tool.parameters)) for tool in specs)
    return specs


def _first(text: str) -> str:
    found = _SENTENCE.match(text.strip())
    return found[0].strip() if found else ""


def _bare(schema: Any) -> Any:
    """A schema without what it says to people."""
    if isinstance(schema, list):
        return [_bare(each) for each in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in cast(dict[str, Any], schema).items():
        if key in ("properties", "$defs") and isinstance(value, dict):
            made[key] = {name: _bare(inner) for name, inner in cast(dict[str, Any], value).items()}
        elif key in ("enum", "const", "default", "required"):
            made[key] = value
        elif key not in _SAID:
            made[key] = _bare(value)
    return made
