"""Reads JSON that a model wrote, and says in a line that a model can act on why it doesn't fit."""

import re
from typing import Any, Protocol

import msgspec

SHOWN = 300


class _Mistake(Protocol):
    @property
    def message(self) -> str: ...
    @property
    def json_path(self) -> str: ...


class Validator(Protocol):
    """Checks values against one JSON Schema."""

    def iter_errors(self, instance: Any) -> "list[_Mistake]": ...


def validator(schema: dict[str, Any]) -> Validator:
    """What checks values of a schema. The library is loaded when first needed: most agents never do."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)  # pyright: ignore[reportReturnType] # its stubs are partial


def problem(checker: Validator, value: Any) -> str | None:
    """The first thing that is wrong with a value, and where; None where it fits."""
    try:
        found = min(checker.iter_errors(value), key=lambda mistake: mistake.json_path, default=None)
    except RecursionError:
        return "its schema goes round in circles, or it is nested too deep"
    if found is None:
        return None
    told = found.message
    if len(told) > SHOWN:
        told = f"{told[: SHOWN // 2]} ... {told[-SHOWN // 2 :]}"
    return f"at {found.json_path}: {told}"


def read(schema: dict[str, Any], text: str) -> tuple[Any, str | None]:
    """The value of an answer that should be JSON of `schema`, and what is wrong with it. JSON in a fence
    (three backticks) is taken too, also with words around it."""
    candidates = [text.strip(), *reversed(re.findall(r"```\w*\s*\n(.*?)\n\s*```", text, re.DOTALL))]
    mistake = ""
    for candidate in candidates:
        try:
            value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            mistake = mistake or f"it is not valid JSON ({error})"
            continue
        return value, problem(validator(schema), value)
    return None, mistake


def read_arguments(name: str, text: str, cut: bool = False) -> dict[str, Any] | str:
    """A call's arguments, or what to tell the model where they can't be read. `cut`: the answer was cut at its limit."""
    try:
        value = msgspec.json.decode(text.strip() or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        why = "your answer was cut at its limit, so write less in one call" if cut else str(error)
        return f"The arguments of {name} are not valid JSON ({why}). Call it again with one JSON object."
    if not isinstance(value, dict):
        return f"The arguments of {name} must be one JSON object, not {msgspec.json.encode(value)[:60].decode(errors='replace')}. Call it again."
    return value  # pyright: ignore[reportUnknownVariableType] # JSON's keys are text
