"""The named statements of `queries.sql`, and their long forms for many rows at once."""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any

_SIZES = (64, 32, 16, 8, 4, 2, 1)
_MANY = re.compile(r"/\* many \*/ (\([^)]*\))")

Row = tuple[Any, ...]


def load() -> dict[str, str]:
    """Every statement by its name, read from the package."""
    text = resources.files("agenthost.stores.sqlite").joinpath("queries.sql").read_text("utf-8")
    _, *sections = text.split("-- name: ")
    named = (section.partition("\n") for section in sections)
    return {name.strip(): body.strip() for name, _, body in named}


class Statements:
    """The statements, each written once so that sqlite3 keeps it prepared.

    A form for many rows exists in a few sizes: 70 rows are one statement of 64, one of 4 and one of 2.
    One statement is one step, and so hands the interpreter's lock over once and not once a row.
    """

    def __init__(self) -> None:
        self._named = load()
        self._long: dict[tuple[str, int], str] = {}

    def __getitem__(self, name: str) -> str:
        return self._named[name]

    def names(self) -> list[str]:
        """The names of all statements."""
        return list(self._named)

    def long(self, name: str, rows: int) -> str:
        """The statement for so many rows."""
        sql = self._long.get((name, rows))
        if sql is None:
            sql = _MANY.sub(lambda match: ", ".join([match[1]] * rows), self._named[name])
            self._long[name, rows] = sql
        return sql

    def write(self, connection: sqlite3.Connection, name: str, rows: Sequence[Row]) -> None:
        """Run a statement for many rows."""
        for piece in pieces(rows):
            connection.execute(self.long(name, len(piece)), tuple(chain.from_iterable(piece)))

    def read(self, connection: sqlite3.Connection, name: str, rows: Sequence[Row]) -> Iterable[Row]:
        """What a statement finds for many rows."""
        for piece in pieces(rows):
            yield from connection.execute(self.long(name, len(piece)), tuple(chain.from_iterable(piece)))


def pieces(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    """`rows` cut into the sizes that statements are kept for."""
    start = 0
    while start < len(rows):
        size = _fitting(len(rows) - start)
        yield rows[start : start + size]
        start += size


@cache
def _fitting(left: int) -> int:
    return next(size for size in _SIZES if size <= left)
