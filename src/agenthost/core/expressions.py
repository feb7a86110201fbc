"""Expressions: what `if`, `foreach`, `passes`, `when`, `output` and the `{{ }}` of templates hold.

An expression is Python's expression syntax, evaluated by the scripts port. Attributes reach into
objects: `steps.spec.text` is `steps["spec"]["text"]`. What is only such a path needs no script
engine: `simple_path` recognises it and `lookup` resolves it. Everything here is pure.

What expressions see:

- `input.NAME`: the workflow's inputs. A file is an object with `digest`, `media_type`, `size`, `name`.
- `steps.ID`: a finished step that comes before this one (by `needs`, also over several steps):
  `text` (the words of its result), `data` (its structured output, or its text read as JSON, else
  null), `ok` (whether it succeeded), `reason` (why it failed, else empty), `skipped`, `files` (paths
  that it wrote), `attempt` (from 1). A command step also has `exit_code`, `stdout`, `stderr`. A step
  with `foreach` has `items`, one such object for each item, beside `text`, `ok`, `reason`, `skipped`,
  `files`, `attempt`. A skipped step has empty `text`, `files` and `items`, null `data`, `ok` true and
  `skipped` true.
- `item`, `index` (from 0): in a step with `foreach`, but not in its `if`, `foreach` and `onFail`.
- `result`: in `passes` and `onFail.feedback`, what this step came to, as `steps.ID` would show it; in
  `passes` of a step with `foreach`, what this item came to.
- `feedback`: what sent the work back to this step, else empty. `attempt`: which attempt this is, from 1.
- `task`: `id`, `title` and `text` (what was said to start it).
"""

import ast
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from agenthost.core.errors import Permanent

Path = tuple[str | int, ...]

MAX_EXPRESSION = 4_000
MAX_SCRIPT = 100_000

# fmt: off
BUILTINS = frozenset([
    "abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "divmod",
    "enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hex", "int",
    "isinstance", "iter", "len", "list", "map", "max", "min", "next", "oct",
    "ord", "pow", "print", "range", "repr", "reversed", "round", "set", "sorted",
    "str", "sum", "tuple", "type", "zip", "Exception", "ValueError", "TypeError", "KeyError",
    "IndexError", "AttributeError", "RuntimeError",
])
# fmt: on
"""The functions that every expression and script may call."""


class Mistake(Struct, frozen=True):
    """Why a text can't be read. Line and column count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


def parse(source: str, *, expression: bool) -> ast.Expression | ast.Module | Mistake:
    """The syntax tree of an expression or a script, or why there is none."""
    most = MAX_EXPRESSION if expression else MAX_SCRIPT
    if len(source) > most:
        return Mistake(1, 1, f"too long: {len(source):,} characters, at most {most:,} are read")
    if expression and not source.strip():
        return Mistake(1, 1, "expected an expression, such as steps.check.ok")
    source = source.strip() if expression else source
    try:
        return ast.parse(source, mode="eval") if expression else ast.parse(source)
    except SyntaxError as error:
        # An expression may go on over lines without brackets of its own.
        return (_lines(source) if expression else None) or Mistake(error.lineno or 1, error.offset or 1, error.msg)
    except (ValueError, RecursionError, MemoryError):
        return Mistake(1, 1, "can't be read: it has null characters or is nested too deeply")


def _lines(source: str) -> ast.Expression | None:
    if "\n" not in source:
        return None
    try:
        tree = ast.parse(f"(\n{source}\n)", mode="eval")
    except (SyntaxError, RecursionError, MemoryError):
        return None
    return ast.increment_lineno(tree, -1)


def mistake(source: str) -> Mistake | None:
    """Why `source` is not an expression; None where it is one."""
    tree = parse(source, expression=True)
    return tree if isinstance(tree, Mistake) else unsupported(tree)


def simple_path(source: str) -> Path | None:
    """The path of an expression that is only names, attributes and constant subscripts; else None.

    `steps.spec.items[0].text` gives `("steps", "spec", "items", 0, "text")`.
    """
    tree = parse(source, expression=True)
    if not isinstance(tree, ast.Expression):
        return None
    return _path(tree.body)


def reads(source: str) -> tuple[Path, ...]:
    """The names that an expression reads, each with the path taken from it, in the order of the text.

    Names that the expression binds itself (a comprehension's, a lambda's) and functions that every
    expression may call are left out. Methods are not part of a path.
    """
    tree = parse(source, expression=True)
    if not isinstance(tree, ast.Expression):
        return ()
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found: list[Path] = []
    _collect(tree.body, found)
    return tuple(dict.fromkeys(path for path in found if path[0] not in bound and path[0] not in BUILTINS))


def lookup(path: Path, names: Mapping[str, Any]) -> Any:
    """The value at a path. Raises Permanent (`script-error`) that names what is there instead."""
    value: Any = names
    for depth, key in enumerate(path):
        value = _member(value, key, dotted(path[:depth]))
    return value


def dotted(path: Path) -> str:
    """A path as people write it: `steps.spec.items[0]`."""
    text = ""
    for key in path:
        if isinstance(key, str) and key.isidentifier():
            text += f".{key}" if text else key
        else:
            text += f"[{key!r}]"
    return text


def functions(source: str) -> dict[str, tuple[str, ...]]:
    """The functions that a script defines, and the parameters of each; none where it can't be read."""
    tree = parse(source, expression=False)
    if not isinstance(tree, ast.Module):
        return {}
    return {
        node.name: tuple(arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def script_mistake(source: str) -> Mistake | None:
    """Why `source` is not a script; None where it is one."""
    tree = parse(source, expression=False)
    return tree if isinstance(tree, Mistake) else unsupported(tree)


_UNSUPPORTED: dict[type[ast.AST], str] = {
    ast.Yield: "generators (yield) are not part of the script language; build a list and return it",
    ast.YieldFrom: "generators (yield from) are not part of the script language; build a list and return it",
    ast.Delete: "del is not part of the script language; make a new value without the part",
    ast.TryStar: "except* is not part of the script language; use except",
    ast.AsyncFunctionDef: "async is not part of the script language; host functions are called plainly",
    ast.AsyncFor: "async is not part of the script language; host functions are called plainly",
    ast.AsyncWith: "async is not part of the script language; host functions are called plainly",
    ast.Await: "await is not part of the script language; host functions are called plainly",
    ast.With: "with is not part of the script language: it has no files to open",
}

MODULES = tuple(
    ["base64", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "functools", "hashlib"]
    + ["itertools", "json", "math", "re", "typing", "unicodedata"]
)
"""The modules that a script may import: nothing that reads a clock, chance or the machine."""


def unsupported(tree: ast.AST) -> Mistake | None:
    """The first thing in `tree` that is Python but not part of the script language; None where all is."""
    for node in ast.walk(tree):
        message = _UNSUPPORTED.get(type(node), "")
        if isinstance(node, ast.ClassDef) and (node.bases or node.keywords):
            message = "a class that inherits is not part of the script language; write a class without bases"
        elif isinstance(node, ast.Import):
            message = _imports([alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom):
            message = _imports(["." * node.level + (node.module or "")])
            if not message and node.names[0].name == "*":
                message = "import * is not part of the script language; name what is imported"
        if message:
            return Mistake(getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, message)
    return None


def _imports(names: Sequence[str]) -> str:
    for name in names:
        if name.partition(".")[0] not in MODULES:
            return f"a script can't import '{name}'; it may import " + ", ".join(MODULES)
    return ""


def _path(node: ast.expr) -> Path | None:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        above = _path(node.value)
        return None if above is None else (*above, node.attr)
    if isinstance(node, ast.Subscript):
        above, key = _path(node.value), _constant(node.slice)
        return None if above is None or key is None else (*above, key)
    return None


def _constant(node: ast.expr) -> str | int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constant(node.operand)
        return -inner if isinstance(inner, int) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool):
        return node.value
    return None


def _collect(node: ast.AST, found: list[Path]) -> None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        _collect(node.func.value, found)
        for child in (*node.args, *node.keywords):
            _collect(child, found)
        return
    path = _path(node) if isinstance(node, ast.expr) else None
    if path is not None:
        found.append(path)
        return
    for child in ast.iter_child_nodes(node):
        _collect(child, found)


def _member(value: Any, key: str | int, where: str) -> Any:
    if isinstance(value, Mapping):
        known = cast("Mapping[str | int, Any]", value)
        if key in known:
            return known[key]
        raise Permanent(absent(where, key, [str(name) for name in known]), code="script-error")
    if isinstance(value, list | tuple | str) and isinstance(key, int):
        items = cast("Sequence[Any]", value)
        if -len(items) <= key < len(items):
            return items[key]
        raise Permanent(f"{where} has {len(items)} items; there is none at [{key}]", code="script-error")
    raise Permanent(f"{where} is {describe(value)}, which has no {key!r}", code="script-error")


def absent(where: str, key: str | int, known: Sequence[str]) -> str:
    """The message for a name that is not there: what is there that comes nearest."""
    close = difflib.get_close_matches(str(key), known, n=1)
    start = f"{where} has no '{key}'" if where else f"there is no '{key}' here"
    if close:
        return f"{start}; did you mean '{close[0]}'?"
    return f"{start}; there is " + (", ".join(sorted(known)[:12]) or "nothing")


def describe(value: Any) -> str:
    """What kind of value it is, in a manifest's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names: dict[type, str] = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    kind = cast("type[object]", type(value))
    return names.get(kind, f"a {kind.__name__}")
