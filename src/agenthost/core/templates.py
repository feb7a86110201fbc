"""Templates: text with `{{ expression }}`. Pure.

`{{` opens and the `}}` that is not inside the expression's own strings and brackets closes, so
`{{ {"a": {"b": 1}} }}` is one expression. A constant, as in `{{ '{{' }}`, stands for itself: that
is how braces are written. What expressions may say and see is in `core.expressions`.

A program asks `sources` what must be evaluated, resolves simple paths by itself, has the rest
evaluated, and gives the values back by source: to `render` for text, to `fill` for a value in which
templates stand (a tool's arguments, an output), where a text that is one expression and nothing
else becomes that expression's value, not its text.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

from agenthost.core.errors import Permanent


class Expression(Struct, frozen=True):
    """An expression of a template: its source, stripped, and where it starts in the template's text."""

    source: str
    offset: int


Piece = str | Expression
Template = tuple[Piece, ...]


class TemplateError(Permanent):
    """A text is not a template. `offset`: which character."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message, code="script-error")
        self.offset = offset


def parse(text: str) -> Template:
    """The pieces of a template. Raises TemplateError."""
    pieces: list[Piece] = []
    done = 0
    while (start := text.find("{{", done)) >= 0:
        if start > done:
            pieces.append(text[done:start])
        end = _closing(text, start)
        inner = text[start + 2 : end]
        source = inner.strip()
        if not source:
            raise TemplateError("'{{ }}' holds no expression; write one, or {{ '{{' }} for braces", start)
        pieces.append(_piece(source, start + 2 + len(inner) - len(inner.lstrip())))
        done = end + 2
    if done < len(text):
        pieces.append(text[done:])
    return tuple(pieces)


def sources(value: Any) -> list[str]:
    """The expressions in a template, or in every text inside an object or a list, each once."""
    found: dict[str, None] = {}
    for text in texts(value):
        for piece in parse(text[1]):
            if isinstance(piece, Expression):
                found[piece.source] = None
    return list(found)


def texts(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """Every text inside a value and the path to it. Keys of objects are not templates."""
    if isinstance(value, str):
        return [(path, value)]
    found: list[tuple[tuple[str | int, ...], str]] = []
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, Any]", value).items():
            found += texts(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(cast("list[Any]", value)):
            found += texts(inner, (*path, index))
    return found


def render(template: Template, values: Mapping[str, Any], quote: Callable[[str], str] = str) -> str:
    """The text, with each expression's value (by source) in its place.

    `quote` is what is done to each value's text, such as `shlex.quote` where the text is a shell line.
    """
    return "".join(piece if isinstance(piece, str) else quote(text_of(values[piece.source])) for piece in template)


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with every template in it filled. A text that is one expression becomes its value."""
    if isinstance(value, str):
        template = parse(value)
        whole = [piece for piece in template if isinstance(piece, Expression) or piece.strip()]
        if len(whole) == 1 and isinstance(whole[0], Expression):
            return values[whole[0].source]
        return render(template, values)
    if isinstance(value, Mapping):
        return {key: fill(inner, values) for key, inner in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [fill(inner, values) for inner in cast("list[Any]", value)]
    return value


def text_of(value: Any) -> str:
    """A value as it stands in a text: text as it is, null as nothing, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _piece(source: str, offset: int) -> Piece:
    if source[0] in "'\"":
        try:
            constant = ast.literal_eval(source)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return Expression(source, offset)
        if isinstance(constant, str):
            return constant
    return Expression(source, offset)


def _closing(text: str, start: int) -> int:
    """Where the `}}` stands that closes the `{{` at `start`."""
    depth, at = 0, start + 2
    while at < len(text):
        character = text[at]
        if character in "'\"":
            at = _after_string(text, at, start)
            continue
        if character in "([{":
            depth += 1
        elif depth == 0 and text.startswith("}}", at):
            return at
        elif character in ")]}":
            depth = max(0, depth - 1)
        at += 1
    raise TemplateError("'{{' is never closed; end it with '}}', or write {{ '{{' }} for braces", start)


def _after_string(text: str, at: int, start: int) -> int:
    quote = text[at : at + 3] if text[at : at + 3] in ("'''", '"""') else text[at]
    at += len(quote)
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text.startswith(quote, at):
            return at + len(quote)
        else:
            at += 1
    raise TemplateError("a quote inside '{{ }}' is never closed", start)
