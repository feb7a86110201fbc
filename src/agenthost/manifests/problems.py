"""A mistake in a manifest, and where it stands."""

import re
from typing import Any

from msgspec import Struct

from agenthost.core.errors import nearest
from agenthost.core.expressions import dotted

Key = tuple[str | int, ...]
"""The way to a value in a manifest: `("spec", "steps", 1, "prompt")`."""


class Problem(Struct, frozen=True, order=True):
    """One mistake, for people: where (line and column count from 1), which key, and what was expected."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        return f"{self.file}:{self.line}:{self.column}:{key} {self.message}"


class Finding(Struct, frozen=True):
    """A mistake before it has a place in a file: its key, and the character within its text if it has one."""

    key: Key
    message: str
    offset: int | None = None


class Place(Struct, frozen=True):
    """Where a value stands (line and column from 0), and how its text is written.

    `text` is the text of a scalar and `style` is YAML's: `|` or `>` for a block, a quote, or empty.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    text: str = ""
    style: str = ""


class Source(Struct, frozen=True):
    """One document of a file: where each of its values stands."""

    file: str
    places: dict[Key, Place]
    lines: tuple[str, ...]

    def problem(self, finding: Finding, *, at_key: bool = False) -> Problem:
        """The finding with its place; where the key itself is not written, that of the key above it."""
        key = finding.key
        while key not in self.places and key:
            key = key[:-1]
        place = self.places.get(key, Place(0, 0, 0, 0))
        line, column = place.line, place.column
        if at_key or key != finding.key:
            line, column = place.key_line, place.key_column
        elif finding.offset is not None:
            line, column = self._within(place, finding.offset)
        return Problem(self.file, line + 1, column + 1, dotted(finding.key), finding.message)

    def _within(self, place: Place, offset: int) -> tuple[int, int]:
        before = place.text[:offset]
        if place.style == "|":
            line = place.line + 1 + before.count("\n")
            indent = len(self.lines[line]) - len(self.lines[line].lstrip(" ")) if line < len(self.lines) else 0
            first = place.text.split("\n")[before.count("\n")]
            indent -= len(first) - len(first.lstrip(" "))
            return line, indent + offset - (before.rfind("\n") + 1)
        rest = self.lines[place.line][place.column :] if place.line < len(self.lines) else ""
        quote = 1 if place.style in ("'", '"') else 0
        if "\n" not in before and rest[quote:].startswith(before):
            return place.line, place.column + quote + offset
        return place.line, place.column


def unknown(kind: str, name: str, known: Any) -> str:
    """The message for a name that nothing has: the nearest one, or all there are."""
    return f"there is no {kind} '{name}'. {nearest(name, sorted(known))}"


def is_name(text: str) -> bool:
    """Whether expressions can say it after a dot."""
    return re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", text) is not None
