"""A call's arguments taken apart: each value with the name it stands under, and whether it matters for safety."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from msgspec import Struct

from agenthost.core.definitions import PinnedTool
from agenthost.programs.trust.words import word_set

_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")

REACHES = word_set(
    "to cc bcc recipient recipients receiver url urls uri link href host hostname domain server endpoint webhook callback "
    "address email mail mailbox account iban payee amount price sum total path paths file files filename folder "
    "directory attachment attachments command cmd script code sql channel room group team user users member members "
    "role permission permissions scope key token number phone id ids name repo repository branch target destination "
    "device database table"
)
"""Words in an argument's name that say that it matters, whatever else stands in the name."""

CONTENT = word_set(
    "text body content contents message title subject summary description note notes comment caption reason reference memo purpose details html "
    "markdown prompt question answer topic start end begin from until since date day time when due deadline duration "
    "minutes hours timezone language lang locale format limit page offset size width height order sort tags labels "
    "priority color colour emoji dry"
)
"""Words in an argument's name that say that it is what is told to whom it reaches, or when, or how."""

ADDRESSED = word_set(
    "to cc bcc recipient recipients receiver url urls uri link href webhook callback endpoint host email iban payee"
)
"""Words in the keys of freely formed values that say whom or what a call reaches."""

FILES = word_set("path paths file files filename attachment attachments document documents")
"""Words in the names of arguments that take files."""

_SEVERAL = ("anyOf", "oneOf", "allOf")
MOST_REFERENCES = 8
"""How many references of a schema are followed in a row."""

ENDPOINTS = word_set("url urls uri link href host hostname domain server endpoint webhook callback address ip")
"""Words in the names of arguments of tools that only read, by which they may reach out to anyone."""


class Leaf(Struct, frozen=True):
    """One value: the path it stands under (`to[0]`), the argument's own name, what its schema says of it."""

    path: str
    argument: str
    value: Any
    schema: Mapping[str, Any]


def name_words(name: str) -> list[str]:
    """The words of a name: `messageId`, `message_id` and `message-id` are alike."""
    return [word.lower() for word in _SPLIT.split(name) if word]


def leaves(arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[Leaf]:
    """All values of a call's arguments. A key that the schema doesn't name is a value as well."""
    reader = _Reader(parameters)
    properties = _properties(parameters)
    return [leaf for name, value in arguments.items() for leaf in reader.read(name, name, value, properties.get(name))]


class _Reader:
    """Reads values by the schema of a tool's parameters, whose references it knows."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._defined: dict[str, Any] = {**parameters.get("definitions", {}), **parameters.get("$defs", {})}

    def read(self, path: str, argument: str, value: Any, told: Any, depth: int = 0) -> Iterator[Leaf]:
        """The values in one: `argument` is the name that it stands under."""
        schema = self._meant(told, value)
        if isinstance(value, dict):
            properties = _properties(schema)
            for key, inner in cast("dict[str, Any]", value).items():
                known = key in properties
                if not known and properties:
                    yield Leaf(f"{path}.{key}", argument, key, {})
                # What is freely named under a text's name can still be a recipient.
                own = key if known or not ADDRESSED.isdisjoint(name_words(key)) else argument
                yield from self.read(f"{path}.{key}", own, inner, properties.get(key), depth + 1)
        elif isinstance(value, list):
            for index, inner in enumerate(cast("list[Any]", value)):
                yield from self.read(f"{path}[{index}]", argument, inner, schema.get("items"), depth + 1)
        else:
            yield Leaf(path, argument, value, schema)

    def _meant(self, told: Any, value: Any) -> dict[str, Any]:
        """A schema with its reference followed; of several, the first that can be of such a value."""
        for _ in range(MOST_REFERENCES):
            schema = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
            if "$ref" in schema:
                told = self._defined.get(str(schema["$ref"]).rpartition("/")[2])
                continue
            several = next((schema[key] for key in _SEVERAL if isinstance(schema.get(key), list)), None)
            if several is None:
                return schema
            choices = [cast("dict[str, Any]", one) for one in cast("list[Any]", several) if isinstance(one, dict)]
            kind = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else ""
            told = next((one for one in choices if "$ref" in one or one.get("type") == kind), None)
        return {}


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def matters(tool: PinnedTool, declared: tuple[str, ...] | None, leaf: Leaf) -> bool:
    """Whether a value of a call that acts says whom or what it reaches or changes. `declared` is the manifest's word."""
    targets = declared if declared is not None else tool.targets
    if targets is not None:
        return leaf.path.partition("[")[0].partition(".")[0] in targets
    words = name_words(leaf.argument)
    if not REACHES.isdisjoint(words):
        return True
    return CONTENT.isdisjoint(words)


def empty(leaf: Leaf, tool: PinnedTool) -> bool:
    """Whether a value says nothing: none, no, nothing, or what a tool of the host's takes anyway."""
    if not tool.source and "default" in leaf.schema and leaf.schema["default"] == leaf.value:
        return True
    return leaf.value is None or leaf.value is False or leaf.value == ""
