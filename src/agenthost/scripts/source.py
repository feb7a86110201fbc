"""The text that is fed to Monty, put together from pieces, and the way back from its lines to theirs."""

import ast

from msgspec import Struct

from agenthost.core import expressions
from agenthost.core.errors import Permanent
from agenthost.scripts.rewrite import PRELUDE, Rewritten, rewrite


class _Piece(Struct, frozen=True):
    """A piece of the fed text: where it starts in it (bytes), what it is called, and its source."""

    start: int
    end: int
    name: str
    source: str
    rewritten: Rewritten


LISTED = (
    "(lambda value: list(value) if type(value).__name__ in "
    "('range', 'dict_keys', 'dict_values', 'dict_items') else value)"
)
"""Makes a list of what is one in all but type; without it, Monty hands such a value out as its text."""


class Fed:
    """A text to feed, built piece by piece."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._length = 0
        self._pieces: list[_Piece] = []

    @property
    def text(self) -> str:
        """What Monty is fed. The helper for attributes stands before it where there are any."""
        return self._before + "".join(self._text)

    @property
    def _before(self) -> str:
        return PRELUDE if any(piece.rewritten.changed for piece in self._pieces) else ""

    def glue(self, text: str) -> None:
        """Text of our own."""
        self._text.append(text)
        self._length += len(text.encode())

    def script(self, source: str) -> None:
        """A script's functions. Raises Permanent where it can't be read."""
        self._add("the script", source, _tree(source, "the script", expression=False))
        self.glue("\n")

    def expression(self, source: str) -> None:
        """An expression, in brackets. Raises Permanent where it can't be read."""
        source = source.strip()
        name = f"'{source}'"
        tree = _tree(source, name, expression=True)
        self.glue(f"{LISTED}(")
        self._add(name, source, tree)
        # The line break ends a comment that the expression may end with.
        self.glue("\n)")

    def _add(self, name: str, source: str, tree: ast.AST) -> None:
        rewritten = rewrite(source, tree)
        start = self._length
        self.glue(rewritten.text)
        self._pieces.append(_Piece(start, self._length, name, source, rewritten))

    def place(self, line: int, column: int) -> tuple[str, int, int] | None:
        """What a line and column (from 1) of the fed text belong to: the piece's name, its line and column."""
        lines = self.text.split("\n")
        before = sum(len(text.encode()) + 1 for text in lines[: line - 1])
        offset = before + len(lines[line - 1][: column - 1].encode()) - len(self._before.encode())
        for piece in self._pieces:
            if piece.start <= offset <= piece.end:
                origin = piece.rewritten.origin(offset - piece.start)
                above = piece.source.encode()[:origin].decode(errors="replace")
                return piece.name, above.count("\n") + 1, origin_column(above)
        return None


def origin_column(above: str) -> int:
    """The column (from 1) of the place that has this text before it."""
    return len(above) - (above.rfind("\n") + 1) + 1


def _tree(source: str, name: str, *, expression: bool) -> ast.AST:
    tree = expressions.parse(source, expression=expression)
    mistake = tree if isinstance(tree, expressions.Mistake) else expressions.unsupported(tree)
    if mistake is not None:
        raise Permanent(f"{name}, {mistake}", code="script-error", line=mistake.line, column=mistake.column)
    assert isinstance(tree, ast.AST)
    return tree
