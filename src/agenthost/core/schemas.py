"""A quick yes for values that plainly fit a plain JSON Schema: most arguments of most tools.

Only a yes counts. What is not plain (`$ref`, `anyOf`, patterns, bounds, 2.0 as an integer) or does not fit is for
the whole validator, which also says what is wrong.
"""

from typing import Any, cast

_SAID = frozenset({"title", "description", "default", "examples"})
_OBJECT = _SAID | {"type", "properties", "required", "additionalProperties"}
_ARRAY = _SAID | {"type", "items"}
_PLAIN = _SAID | {"type"}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def plainly_fits(schema: Any, value: Any) -> bool:
    """Whether `value` certainly fits `schema` (JSON Schema 2020-12); False where it doesn't, or nobody looked."""
    if type(schema) is not dict:
        return False
    plain = cast(dict[str, Any], schema)
    kind = plain.get("type")
    if type(kind) is not str:
        return False
    if kind == "object":
        return type(value) is dict and plain.keys() <= _OBJECT and _object(plain, cast(dict[str, Any], value))
    if kind == "array":
        items = plain.get("items", True)
        return (
            type(value) is list
            and plain.keys() <= _ARRAY
            and (items is True or all(plainly_fits(items, item) for item in cast(list[Any], value)))
        )
    return type(value) in _TYPES.get(kind, ()) and plain.keys() <= _PLAIN


def _object(schema: dict[str, Any], value: dict[str, Any]) -> bool:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if type(properties) is not dict or type(required) is not list:
        return False
    if not all(type(name) is str and name in value for name in cast(list[Any], required)):
        return False
    known = cast(dict[str, Any], properties)
    more = schema.get("additionalProperties", True) is True
    return all(plainly_fits(known[name], item) if name in known else more for name, item in value.items())
