"""YAML text to plain values with a place for each. Safe by construction: only texts, numbers,
true, false, null, lists and objects come out, whatever the tags say.

Plain words mean what YAML 1.2 says: `no`, `on` and `12:30` are texts. Anchors and aliases work;
what they expand to is bounded (MAX_VALUES), so that a bomb is a mistake and not a full memory.
"""

import re
from typing import Any

import yaml
from msgspec import Struct

from agenthost.manifests.problems import Finding, Key, Place, Problem, Source

MAX_BYTES = 512 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 60


class Document(Struct, frozen=True):
    """A document's value and where its parts stand."""

    value: Any
    source: Source


def read(file: str, text: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a file, empty ones left out, and its mistakes."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        return [], [Problem(file, 1, 1, "", f"is larger than {MAX_BYTES // 1024} KB; split it into several files")]
    documents: list[Document] = []
    problems: list[Problem] = []
    lines = tuple(text.splitlines())
    try:
        for node in yaml.compose_all(text.removeprefix("\ufeff"), Loader=yaml.BaseLoader):  # pyright: ignore[reportUnknownMemberType]
            if isinstance(node, yaml.ScalarNode) and not node.value:
                continue
            reader = _Reader(file, lines)
            value = reader.document(node)
            problems += reader.problems
            if not reader.problems:
                documents.append(Document(value, reader.source))
    except yaml.MarkedYAMLError as error:
        problems.append(_syntax(file, error))
    except yaml.YAMLError as error:
        problems.append(Problem(file, 1, 1, "", f"is not YAML text: {_one_line(str(error))}"))
    except RecursionError:
        problems.append(Problem(file, 1, 1, "", f"is nested too deeply; at most {MAX_DEPTH} levels"))
    return documents, problems


def _syntax(file: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = error.problem or str(error)
    if "'\\t'" in what:
        what = "a tab can't indent YAML; use spaces"
    elif "undefined alias" in what:
        what = f"{what}; define it with & before it is used"
    elif "mapping values are not allowed" in what:
        what = "a ':' can't stand here; check the indentation, or put the text in quotes"
    elif "expected <block end>" in what:
        what = "this line's indentation fits nothing above it; align it with its neighbours"
    elif "could not find expected ':'" in what:
        what = "expected a ':' after the key"
    return Problem(file, line, column, "", _one_line(what))


def _one_line(text: str) -> str:
    return " ".join(text.split())


_INT = re.compile(r"[-+]?(0|[1-9][0-9]*|[0-9]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _Stop(Exception):
    """Enough was read to know that the document can't be used."""


class _Reader:
    """Turns the nodes of one document into values and places."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.source = Source(file, {}, lines)
        self.problems: list[Problem] = []
        self._count = 0
        self._open: set[int] = set()

    def document(self, node: yaml.Node) -> Any:
        try:
            return self._value(node, (), node)
        except _Stop:
            return None

    def _mistake(self, key: Key, node: yaml.Node, message: str) -> None:
        place = Source(self.source.file, {key: _place(node, node)}, self.source.lines)
        self.problems.append(place.problem(Finding(key, message)))

    def _value(self, node: yaml.Node, key: Key, key_node: yaml.Node) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            self._mistake(key, node, f"expands to more than {MAX_VALUES:,} values; are aliases (*) nested?")
            raise _Stop
        if len(key) > MAX_DEPTH:
            self._mistake(key, node, f"is nested too deeply; at most {MAX_DEPTH} levels")
            raise _Stop
        if id(node) in self._open:
            self._mistake(key, key_node, "an alias (*) stands inside what it names; write the value out")
            raise _Stop
        self.source.places[key] = _place(node, key_node)
        if node.tag is not None and not node.tag.startswith("tag:yaml.org,2002:"):  # pyright: ignore[reportUnnecessaryComparison]
            self._mistake(key, node, f"the tag {node.tag} is not allowed; write a plain value")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*key, index), item) for index, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, key)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                self._mistake(key, name_node, "a key must be a plain word")
                continue
            name = name_node.value
            if name in found:
                self._mistake((*key, name), name_node, f"stands here twice; the first is in line {first[name]}")
                continue
            first[name] = name_node.start_mark.line + 1
            found[name] = self._value(value_node, (*key, name), name_node)
        return found

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in ("str", "int", "float", "bool", "null"):
            self._mistake(key, node, f"the tag !!{kind} is not allowed; write a plain value")
            return None
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._mistake(key, node, "holds half a character (a lone surrogate); write the character itself")
            return None
        if node.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text) and len(text) <= 40:
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if abs(number) != float("inf") else text
        return text


def _place(node: yaml.Node, key_node: yaml.Node) -> Place:
    start, named = node.start_mark, key_node.start_mark
    scalar = isinstance(node, yaml.ScalarNode)
    return Place(
        start.line,
        start.column,
        named.line,
        named.column,
        node.value if scalar else "",
        (node.style or "") if scalar else "",
    )
