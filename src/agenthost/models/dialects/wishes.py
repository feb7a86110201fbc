"""Calls as they stand in a JSON value, in whichever of the known envelopes."""

import re
from typing import Any, NamedTuple, cast

from agenthost.models.dialects import loose
from agenthost.models.dialects.arguments import ENVELOPES, NAMES
from agenthost.models.dialects.names import Offered

_LISTS = ("tool_calls", "tool_uses", "calls", "function_calls", "actions")
_NESTING = ("function", "function_call", "tool_call", "action", "tool_use", "call")
_NAME_IN_TEXT = re.compile(
    r"""["']?\b(?:name|tool|tool_name|function|function_name|action)["']?\s*:\s*["']([^"'\n]{1,128})["']"""
)
_ARGUMENTS_IN_TEXT = re.compile(rf"""["']?\b(?:{"|".join(ENVELOPES)})["']?\s*:\s*""")
MOST_CALLS = 64
"""Calls in one answer: more of them are data."""
_HEAD = 400  # characters in which the name of a call that is cut must stand


class Wish(NamedTuple):
    """A call that somebody may have meant. `arguments`: a value, or with `broken` the text that can't be read.
    `plain`: the envelope says name and arguments; else they lie side by side, or the name is a key."""

    name: str
    arguments: Any
    broken: bool = False
    plain: bool = True


class Span(NamedTuple):
    """A piece of text that stands for calls. `fence`: it is a fence of our own kind, which nobody writes by chance."""

    start: int
    end: int
    wishes: list[Wish]
    fence: bool = False


def wishes(value: Any, offered: Offered, depth: int = 0) -> list[Wish] | None:
    """The calls that a value stands for; None where it is something else, or more than anybody means."""
    if depth > 3:
        return None
    if isinstance(value, list):
        found: list[Wish] = []
        for item in cast(list[Any], value):
            inner = wishes(item, offered, depth + 1)
            if inner is None:
                return None
            found += inner
            if len(found) > MOST_CALLS:
                return None
        return found or None
    if not isinstance(value, dict):
        return None
    given = cast(dict[str, Any], value)
    for key in _LISTS:
        if isinstance(given.get(key), list) and offered.known(key) is None:
            return wishes(given[key], offered, depth + 1)
    for key in _NESTING:
        if isinstance(given.get(key), dict):
            inner = wishes(given[key], offered, depth + 1)
            if inner is not None:
                return inner
    return _one(given, offered)


def _one(given: dict[str, Any], offered: Offered) -> list[Wish] | None:
    if "name" not in given and len(given) == 1:
        (key,) = given
        if isinstance(given[key], dict) and offered.known(key) is not None:
            return [Wish(key, given[key], plain=False)]
    names = [key for key in NAMES[:-2] if isinstance(given.get(key), str)]
    named = next((key for key in names if offered.known(given[key]) is not None), names[0] if names else None)
    if named is None:
        return None
    name = cast(str, given[named])
    for key in ENVELOPES:
        if key in given:
            return [Wish(name, given[key])]
    rest = {key: item for key, item in given.items() if key not in (named, "id", "type", "tool_call_id")}
    return [Wish(name, rest, plain=False)]


def broken(text: str, start: int, end: int, offered: Offered) -> Wish | None:
    """A call whose envelope began at `start` and can't be read to its end: its name, and its arguments as they stand.
    None where the name isn't known, or nothing was said of arguments yet."""
    head = _NAME_IN_TEXT.search(text, start, min(end, start + _HEAD))
    if head is None or offered.known(head[1]) is None:
        return None
    begin = _ARGUMENTS_IN_TEXT.search(text, start, end)
    if begin is None:
        return None
    if begin.end() >= end:
        return Wish(head[1], "{", broken=True)
    return _closed(text, begin.end(), end, head[1])


def _closed(text: str, at: int, end: int, name: str) -> Wish:
    """The arguments themselves may be whole where only what is around them isn't."""
    try:
        value, after = loose.read(text, at)
    except (loose.Cut, loose.Strange):
        return Wish(name, text[at:end].rstrip(), broken=True)
    rest = text[after:end].strip(" \t\r\n}]")
    return Wish(name, value) if isinstance(value, dict) and not rest else Wish(name, text[at:end].rstrip(), broken=True)
