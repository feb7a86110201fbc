"""What whoever gives work sets beside an agent's manifest, checked before anything is kept."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from agenthost.core.definitions import Bundle
from agenthost.core.errors import BadInput
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart
from agenthost.core.tasks import Terms
from agenthost.programs.agent.definition import Definition

MOST_TOOLS = 256
"""Tools that one who gives work may bring."""

MOST_SCHEMA = 256 * 1024
"""Bytes of a schema of the answer, as JSON: to look at 1 MB of one takes five seconds."""
_QUICK = 8 * 1024

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_SIDES = {"user": "a user", "assistant": "the assistant", "tool": "a tool"}


def files_of(terms: Terms | None) -> tuple[FilePart, ...]:
    """The files that the history names."""
    if terms is None:
        return ()
    return tuple(part for turn in terms.history for part in turn.parts if isinstance(part, FilePart))


def says_something(terms: Terms | None) -> bool:
    """Whether the history alone is something to go on from; after the agent's own words it says more."""
    return terms is not None and bool(terms.history) and not terms.history[-1].calls


def check(terms: Terms) -> None:
    """Raise BadInput where terms can't be kept, whichever agent they are for."""
    if terms.temperature is not None and not 0 <= terms.temperature <= 2:
        raise BadInput(f"the terms' temperature must be between 0 and 2, not {terms.temperature:g}")
    if terms.max_output < 0:
        raise BadInput(f"the terms' max_output must be a number of tokens, not {terms.max_output}")
    _check_history(terms.history)
    names = [tool.name for tool in terms.tools]
    if len(names) > MOST_TOOLS:
        raise BadInput(f"the terms have {len(names)} tools, and {MOST_TOOLS} are the most; give fewer")
    for name in names:
        if not _NAME.fullmatch(name):
            raise BadInput(f"a tool can't be called '{name}': give a name of letters, digits, _ and -, at most 64")
        if names.count(name) > 1:
            raise BadInput(f"the terms have two tools '{name}'; call one of them otherwise")


async def check_output(terms: Terms | None) -> None:
    """Raise BadInput where values can't be checked by the terms' schema. A large one is looked at beside the loop."""
    if terms is None or terms.output is None:
        return
    size = len(msgspec.json.encode(terms.output))
    if size > MOST_SCHEMA:
        raise BadInput(f"the terms' output has {size:,} bytes, and {MOST_SCHEMA:,} are the most; give a smaller schema")
    if size > _QUICK:
        problem = await asyncio.to_thread(schema_problem, terms.output)
    else:
        problem = schema_problem(terms.output)
    if problem:
        raise BadInput(f"the terms' output can't be used: {problem}")


def check_tools(terms: Terms, bundle: Bundle, agent: str) -> None:
    """Raise BadInput where a tool has the name of one of the agent's own."""
    own = Definition(bundle, agent)
    taken = {name for stage in ("", *(stage.id for stage in own.spec.stages)) for name in own.toolbox(stage).tools}
    for tool in terms.tools:
        if tool.name in taken:
            raise BadInput(f"the agent '{agent}' has a tool '{tool.name}' of its own; call yours otherwise")


def schema_problem(schema: dict[str, Any]) -> str:
    """Why values can't be checked by a JSON Schema (2020-12); empty where they can."""
    # Loaded where it is needed: it takes longer to import than everything else here.
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
        for key, value in _entries(schema):
            if key in ("$ref", "$dynamicRef") and not _resolves(schema, value):
                return f"the reference '{value}' leads nowhere in it; others than '#/...' are not followed"
    except SchemaError as error:
        return f"it is not JSON Schema at {error.json_path}: {error.message}"
    except RecursionError:
        return "it is nested too deep"
    return ""


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    if isinstance(value, dict):
        for key, inner in cast(dict[str, Any], value).items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from _entries(inner)


def _resolves(schema: dict[str, Any], reference: Any) -> bool:
    if reference == "#":
        return True
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return False
    found: Any = schema
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return False
        found = cast(dict[str, Any], found)[name]
    return isinstance(found, dict | bool)


def _check_history(history: Sequence[Turn]) -> None:
    """Every call has its result right after it, as models want it."""
    open: set[str] = set()
    for number, turn in enumerate(history, 1):
        if turn.role == "tool":
            if turn.call_id not in open:
                raise BadInput(
                    f"turn {number} of the history is the result of a call '{turn.call_id}' that is not open"
                )
            open.discard(turn.call_id)
            continue
        if open:
            raise BadInput(
                f"turn {number} of the history is {_SIDES[turn.role]}'s, and the result of the call "
                f"'{min(open)}' is missing before it"
            )
        if turn.calls and turn.role != "assistant":
            raise BadInput(f"turn {number} of the history is {_SIDES[turn.role]}'s and can't call tools")
        open = {call.id for call in turn.calls}
        if len(open) < len(turn.calls):
            raise BadInput(f"turn {number} of the history has two calls of one id")
    if open:
        raise BadInput(f"the history ends without the result of the call '{min(open)}'")
