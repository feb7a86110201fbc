"""Runs in the sandbox, alone: `python inside.py solve` or `python inside.py test`. Knows nothing but Python's library.

`solve` has the solution and the arguments of the calls that the test makes, and writes answers. `test` has the
test and the answers, and not the solution: it says which calls have no answer yet, or how the test ended.
"""

import ast
import builtins
import contextlib
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any, cast

_PLAIN = (type(None), bool, int, str)
_DEEPEST = 50


class NotPlain(Exception):
    """A value that can't be an answer: not made of Python's own plain types."""


class _Unanswered(BaseException):
    """A call whose answer isn't known yet; no `except Exception` of a test takes it for the solution's."""


def encode(value: Any, depth: int = 0) -> Any:
    """A value as JSON: plain scalars as they are, anything else as [kind, content]. An instance of a class that
    only derives from a plain type is refused: it could say that it equals everything."""
    kind = cast(Any, type(value))
    if depth > _DEEPEST:
        raise NotPlain("nested too deep")
    if kind in _PLAIN:
        return value
    if kind in (float, complex):
        return [kind.__name__, repr(value)]
    if kind in (bytes, bytearray):
        return [kind.__name__, value.hex()]
    if kind in (list, tuple):
        return [kind.__name__, [encode(item, depth + 1) for item in cast(list[Any], value)]]
    if kind in (set, frozenset):
        return [kind.__name__, sorted((encode(item, depth + 1) for item in cast(set[Any], value)), key=json.dumps)]
    if kind is dict:
        return [
            "dict",
            [[encode(key, depth + 1), encode(item, depth + 1)] for key, item in cast(dict[Any, Any], value).items()],
        ]
    raise NotPlain(kind.__name__)


def decode(value: Any) -> Any:
    """The value that `encode` was given. Raises NotPlain for anything that `encode` doesn't make."""
    if type(value) in _PLAIN:
        return value
    if type(value) is not list or len(pair := cast(list[Any], value)) != 2:
        raise NotPlain("no answer of ours")
    kind, content = pair
    if kind in ("float", "complex") and isinstance(content, str):
        return (float if kind == "float" else complex)(content)
    if kind in ("bytes", "bytearray") and isinstance(content, str):
        return (bytes if kind == "bytes" else bytearray).fromhex(content)
    containers: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    if kind in containers and isinstance(content, list):
        return containers[kind](decode(item) for item in cast(list[Any], content))
    if kind == "dict" and isinstance(content, list):
        return {decode(key): decode(item) for key, item in cast(list[Any], content)}
    raise NotPlain(str(kind)[:40])


def solve() -> None:
    """Answer every call, in order, a line each."""
    with open("order.json") as file:
        order = json.load(file)
    out = os.open("answers.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    space: dict[str, Any] = {"__name__": "solution"}
    exec(compile(order["source"], "solution.py", "exec"), space)
    function = space[order["entry_point"]]
    for key in order["calls"]:
        arguments, named = decode(json.loads(key))
        try:
            told = ["value", encode(function(*arguments, **named))]
        except NotPlain as problem:
            told = ["raised", "TypeError", f"no plain data: {problem}"]
        except Exception as problem:  # noqa: BLE001 - the solution's own, told to the test
            told = ["raised", type(problem).__name__, str(problem)[:500]]
        os.write(out, json.dumps([key, told]).encode() + b"\n")


class _Candidate:
    """Stands where the solution's function would: looks answers up."""

    def __init__(self, answers: dict[str, Any], asked: list[str]) -> None:
        self.answers = answers
        self.calls = list(asked)
        self.open: list[str] = []
        self.raised: BaseException | None = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        key = json.dumps(encode((arguments, named)))
        if key not in self.answers:
            self.open.append(key)
            if key not in self.calls:
                self.calls.append(key)
            raise _Unanswered
        told = self.answers[key]
        if told[0] == "value":
            return decode(told[1])
        kind = getattr(builtins, str(told[1]), None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            kind = RuntimeError
        try:
            self.raised = kind(*told[2:])
        except TypeError:
            self.raised = RuntimeError(*told[1:])
        raise self.raised


class _Patient(ast.NodeTransformer):
    """Has each statement of the test go on to the next where it fails, so that one pass finds many calls."""

    def visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.If | ast.With) and statements:
                setattr(node, field, [self._guarded(statement) for statement in statements])
        return node

    def _guarded(self, statement: ast.stmt) -> ast.stmt:
        if isinstance(statement, ast.FunctionDef | ast.Return | ast.Break | ast.Continue | ast.Import | ast.ImportFrom):
            return statement
        handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [ast.Pass()])
        return ast.Try([statement], [handler], [], [])


def _answers() -> dict[str, Any]:
    """What the solution's run left; lines that are no answers are none."""
    found: dict[str, Any] = {}
    with open("answers.jsonl", "rb") as file:
        for line in file:
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                key, told = json.loads(line)
                if isinstance(key, str) and isinstance(told, list) and told:
                    found.setdefault(key, told)
    return found


def _run(order: dict[str, Any], candidate: _Candidate, change: Callable[[ast.Module], ast.AST]) -> None:
    """The test, as HumanEval puts it together, with the right solution for what else it uses of it."""
    random.seed(0)
    space: dict[str, Any] = {"__name__": "test"}
    exec(compile(order["source"], "problem.py", "exec"), space)
    tree = ast.fix_missing_locations(change(ast.parse(order["test"])))
    exec(compile(tree, "test.py", "exec"), space)  # type: ignore[arg-type]
    space["check"](candidate)


def test() -> None:
    """Say how the test ends, or which calls it makes whose answers aren't known."""
    with open("order.json") as file:
        order = json.load(file)
    candidate = _Candidate(_answers(), order["asked"])
    with contextlib.suppress(BaseException):
        _run(order, candidate, _Patient().visit)
    if candidate.open:
        word = "silent" if set(candidate.open) & set(order["asked"]) else "ask"
        _say(order, {"word": word, "calls": candidate.calls})
        return
    word, detail = "passed", ""
    try:
        _run(order, candidate, lambda tree: tree)
    except _Unanswered:
        word, detail = "unclear", "the test asks something else each time"
    except BaseException as problem:  # noqa: BLE001 - whatever ends the test is the verdict
        word = "crashed" if problem is candidate.raised else "wrong"
        detail = f"{type(problem).__name__}: {problem}"[:500]
    _say(order, {"word": word, "detail": detail})


def _say(order: dict[str, Any], told: dict[str, Any]) -> None:
    with open("told.json", "w") as file:
        json.dump({"nonce": order["nonce"], **told}, file)


if __name__ == "__main__":
    {"solve": solve, "test": test}[sys.argv[1]]()
