"""A call's arguments mended where only one thing can be meant, and left as they are where not.

Mended: JSON in a string (of a string), an envelope around the arguments, the tool's name among them, nothing or
null for no arguments, and values whose text is exactly the number, truth value or list that the schema wants.
"""

import re
from typing import Any, cast

import msgspec

from agenthost.core.schemas import plainly_fits
from agenthost.models.dialects import loose

ENVELOPES = ("arguments", "parameters", "input", "args", "params", "kwargs", "action_input", "tool_input", "tool_args")
NAMES = ("name", "tool", "tool_name", "function", "function_name", "recipient_name", "action", "type", "id")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NESTED = 3
_EXACT = 2**53
"""Beyond it a whole number may change where it is read as a float."""


def strict(text: str) -> Any:
    """The value of JSON. Raises ValueError where it isn't."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError from error


def repaired(text: str, name: str, schema: dict[str, Any]) -> str:
    """The arguments of a call of tool `name` as JSON of one object; the text as it was where they are well already,
    or can't be known."""
    if _well(text, schema):
        return text
    try:
        return _repaired(text, name, schema)
    except RecursionError:  # lists in lists in lists: nothing that a tool takes
        return text


def _well(text: str, schema: dict[str, Any]) -> bool:
    """Whether arguments are what the tool declares, to the letter, as most are: nothing is to be mended then."""
    properties: dict[str, Any] = schema.get("properties") or {}
    try:
        value = strict(text) if properties else None
    except ValueError:
        return False
    if not isinstance(value, dict) or not value:
        return False
    given = cast(dict[str, Any], value)
    return given.keys() <= properties.keys() and plainly_fits(schema, given)


def _repaired(text: str, name: str, schema: dict[str, Any]) -> str:
    value = _value(text)
    if value is _UNKNOWN:
        return text
    mended = fitted(value, name, schema)
    if mended is None:
        return text
    try:
        own = strict(text)
    except ValueError:
        return encoded(mended)
    return text if own == mended and _kinds(own) == _kinds(mended) else encoded(mended)


def encoded(arguments: dict[str, Any]) -> str:
    """Arguments as JSON text."""
    return msgspec.json.encode(arguments).decode()


def fitted(value: Any, name: str, schema: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments that a value surely stands for; None where it stands for none."""
    for _ in range(_NESTED):
        if not isinstance(value, str):
            break
        value = _value(value)
    if value is None:
        return {}
    if isinstance(value, list) and len(cast(list[Any], value)) == 1:
        value = cast(list[Any], value)[0]
    if not isinstance(value, dict):
        return None
    return _typed(_unwrapped(cast(dict[str, Any], value), name, schema), schema)


def plausible(arguments: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether these can be arguments of that schema, by their names."""
    properties: dict[str, Any] = schema.get("properties") or {}
    required: list[str] = schema.get("required") or []
    open_ended = not properties or schema.get("additionalProperties") not in (None, False)
    return all(key in arguments for key in required) and (open_ended or all(key in properties for key in arguments))


_UNKNOWN: Any = object()


def _value(text: str) -> Any:
    stripped = text.strip().strip("\ufeff\u200b")
    if not stripped:
        return None
    try:
        return strict(stripped)
    except ValueError:
        pass
    try:
        return loose.whole(stripped)
    except (loose.Cut, loose.Strange):
        return _UNKNOWN


def _unwrapped(value: dict[str, Any], name: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties") or {}
    if not properties and schema.get("additionalProperties") is not False and list(value.values()) != [{}]:
        return value  # it takes anything, an envelope's words too
    for _ in range(_NESTED):
        own = {key: item for key, item in value.items() if not _says_name(key, item, name, properties)}
        keys = list(own)
        if len(keys) != 1 or keys[0] not in ENVELOPES or keys[0] in properties:
            # Without the name only where the name isn't an argument by its own right.
            return own if own and len(own) < len(value) else value
        inner = own[keys[0]]
        if isinstance(inner, str):
            inner = _value(inner)
        if inner is None:
            return {}
        if not isinstance(inner, dict):
            return value
        value = cast(dict[str, Any], inner)
    return value


def _says_name(key: str, item: Any, name: str, properties: dict[str, Any]) -> bool:
    return key in NAMES and key not in properties and item in (name, f"functions.{name}", "function", "tool_use")


def _typed(value: Any, schema: Any, deep: int = 0) -> Any:
    """Values with the type that the schema says, where their text is exactly such a value."""
    if not isinstance(schema, dict) or deep > _NESTED:
        return value
    branches = _branches(cast(dict[str, Any], schema))
    if isinstance(value, str):
        return _read(value, branches)
    wanted = "array" if isinstance(value, list) else "object"
    fitting = [node for node in branches if node.get("type") == wanted or (wanted == "object" and "type" not in node)]
    if len(fitting) != 1:
        return cast(Any, value)
    if isinstance(value, list):
        return cast(Any, [_typed(item, fitting[0].get("items"), deep + 1) for item in cast(list[Any], value)])
    if isinstance(value, dict):
        properties: dict[str, Any] = fitting[0].get("properties") or {}
        required: list[str] = fitting[0].get("required") or []
        given = cast(dict[str, Any], value)
        return {
            key: _typed(item, properties.get(key), deep + 1)
            for key, item in given.items()
            if not (item is None and key in properties and key not in required and _refuses_null(properties[key]))
        }
    return value


def _branches(node: dict[str, Any], deep: int = 0) -> list[dict[str, Any]]:
    """What a value may be, one schema of one type each: an optional argument is mostly `anyOf` of a type and null."""
    kind = node.get("type")
    if isinstance(kind, list):
        return [{**node, "type": each} for each in cast(list[Any], kind)]
    if kind is None and deep < _NESTED:
        for several in ("anyOf", "oneOf", "allOf"):
            given = node.get(several)
            if isinstance(given, list) and given and (several != "allOf" or len(cast(list[Any], given)) == 1):
                inner = [
                    cast(dict[str, Any], each) if isinstance(each, dict) else {} for each in cast(list[Any], given)
                ]
                return [branch for each in inner for branch in _branches(each, deep + 1)]
    return [node]


def _read(text: str, branches: list[dict[str, Any]]) -> Any:
    """What a text surely stands for; the text itself where it may be meant as one."""
    kinds = [node.get("type") for node in branches]
    if not all(isinstance(kind, str) and kind != "string" for kind in kinds):
        return text
    for node in branches:
        found = _converted(text, node["type"], node)
        if not isinstance(found, str):
            return found
    return None if "null" in kinds and text.strip().lower() in ("null", "none") else text


def _refuses_null(schema: Any) -> bool:
    """Whether null is no value of a plain type: an optional argument that is null wasn't given."""
    kind = cast(dict[str, Any], schema).get("type") if isinstance(schema, dict) else None
    return isinstance(kind, str) and kind != "null"


def _converted(text: str, kind: Any, schema: dict[str, Any]) -> Any:
    try:
        if kind in ("integer", "number"):
            found = _NUMBER.fullmatch(text)
            if found and (kind == "number" or found[0].lstrip("-").isdigit()):
                value = strict(text)  # beyond every float, it is none
                return value if abs(value) < _EXACT else text
        elif kind == "boolean" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        elif kind in ("array", "object") and text.lstrip()[:1] in ("[", "{"):
            value = strict(text)
            if isinstance(value, list if kind == "array" else dict):
                return _typed(value, schema)
    except ValueError:
        pass
    return text


def _kinds(value: Any) -> Any:
    """The types in a value, since 1 == True and 1 == 1.0."""
    if isinstance(value, dict):
        return {key: _kinds(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_kinds(item) for item in cast(list[Any], value)]
    return cast(Any, type(value))
