"""Whether a JSON Schema is of the subset that OpenAI's strict structured output takes.

Source: the guide "Structured Outputs", section "Supported schemas".
"""

from typing import Any, cast

_DESCRIBING = {"type", "enum", "const", "description", "title", "$ref", "$defs", "anyOf"}
_STRUCTURE = {"properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
_VALUES = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern"}
_KNOWN = frozenset(_DESCRIBING | _STRUCTURE | _VALUES)
_DEEPEST = 10


def answer_format(schema: dict[str, Any]) -> dict[str, Any]:
    """What both wires say of the JSON that an answer must be: `strict` only where that may be asked for."""
    return {"name": "answer", "schema": schema, "strict": permits_strict(schema)}


def permits_strict(schema: dict[str, Any]) -> bool:
    """Whether `strict` may be asked for: the root is an object, every object closed, every property required."""
    return schema.get("type") == "object" and "anyOf" not in schema and _permits(schema, 0)


def _permits(schema: Any, depth: int) -> bool:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return False
    node = cast(dict[str, Any], schema)
    if not _KNOWN.issuperset(node):
        return False
    kind = node.get("type")
    kinds: list[Any] = cast(list[Any], kind) if isinstance(kind, list) else [kind]
    if "object" in kinds or "properties" in node:
        properties = node.get("properties", {})
        if node.get("additionalProperties") is not False or set(node.get("required", ())) != set(properties):
            return False
    if "array" in kinds and "items" not in node:
        return False
    inner = [*node.get("properties", {}).values(), *node.get("$defs", {}).values(), *node.get("anyOf", ())]
    if "items" in node:
        inner.append(node["items"])
    return all(_permits(child, depth + 1) for child in inner)
