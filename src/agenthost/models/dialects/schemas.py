"""JSON Schemas as every grammar takes them: of a tool's own schema, which may come from anywhere, what can be held to."""

from typing import Any, cast
from urllib.parse import unquote

MOST_NODES = 1_000
"""Schemas within one schema, references put in; what lies beyond them may be any value."""
_DEEPEST = 8
_MOST_ITEMS = 256
"""llama.cpp takes no grammar that repeats something some thousands of times."""
_MOST = 2**53
_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})

Schema = dict[str, Any]


def simple(schema: Schema) -> Schema:
    """A schema of what every grammar knows: references put in, wishes that only a validator can check left out (the
    host checks them afterwards), as what no grammar could be made of; objects closed."""
    made = _Simple(schema).of(schema or {"type": "object"}, ())
    return made if made else {"type": "object"}


class _Simple:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MOST_NODES

    def of(self, schema: Any, through: tuple[str, ...], depth: int = 0) -> Schema:
        """`through`: the references that led here. An empty schema admits any value."""
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self._left < 0:
            return {}
        node = cast(Schema, schema)
        if "$ref" in node:
            reference = str(node["$ref"])
            if reference in through:
                return {}
            return self.of(_referred(reference, self._root), (*through, reference), depth + 1)
        properties = node.get("properties")
        if not isinstance(properties, dict):
            for several in ("anyOf", "oneOf"):
                if node.get(several) and isinstance(node[several], list):
                    choices = [self.of(each, through, depth + 1) for each in cast(list[Any], node[several])]
                    return {"anyOf": choices} if all(map(_says_kind, choices)) else {}
            if isinstance(node.get("allOf"), list):
                parts = cast(list[Any], node["allOf"])
                return self.of(parts[0], through, depth + 1) if len(parts) == 1 else {}
        made = _plain(node)
        if isinstance(properties, dict):
            inner = cast(Schema, properties)
            made["properties"] = {key: self.of(each, through, depth + 1) for key, each in inner.items()}
            made["additionalProperties"] = False
            if "required" in made:
                made["required"] = [key for key in made["required"] if key in inner]
        if "items" in node:
            made["items"] = self.of(node["items"], through, depth + 1)
        return made


def _says_kind(schema: Schema) -> bool:
    return any(key in schema for key in ("type", "enum", "const", "anyOf", "properties"))


def _plain(node: Schema) -> Schema:
    """The words of a schema that hold no other schemas, where they mean something."""
    made: Schema = {}
    kind = node.get("type")
    kinds = cast(list[Any], kind) if isinstance(kind, list) else [kind]
    if kinds and all(isinstance(each, str) and each in _TYPES for each in kinds):
        made["type"] = kind
    if isinstance(node.get("enum"), list) and node["enum"]:
        made["enum"] = node["enum"]
    if "const" in node:
        made["const"] = node["const"]
    if isinstance(node.get("required"), list):
        made["required"] = [key for key in cast(list[Any], node["required"]) if isinstance(key, str)]
    for key in ("minItems", "maxItems"):
        if _whole(node.get(key)) and 0 <= node[key] <= _MOST_ITEMS:
            made[key] = node[key]
    for key in ("minimum", "maximum"):
        value = node.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST:
            made[key] = value
    return made


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _referred(reference: str, root: Schema) -> Any:
    """What a JSON pointer into the schema names (RFC 6901, as a fragment of a URI); None where it names nothing here."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for name in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(cast(list[Any], found)):
            found = cast(list[Any], found)[int(name)]
        else:
            found = cast(Schema, found).get(name) if isinstance(found, dict) else None
    return found
