"""Whether the templates, expressions and scripts of a manifest can be read, and name only what is there."""

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agenthost.core import expressions, templates
from agenthost.core.errors import nearest
from agenthost.core.expressions import Path, dotted
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.checks import Check
from agenthost.core.manifests.workflow import Step, Workflow, needs_of
from agenthost.manifests.problems import Finding, Key

FIELDS: tuple[str, ...] = ("text", "data", "ok", "reason", "skipped", "files", "attempt")
"""What every finished step shows."""

COMMAND_FIELDS = ("exit_code", "stdout", "stderr")

STAGE_NAMES = ("turns", "calls", "text", "files", "stage", "stage_turns", "task")
"""What a stage's `when` sees: model calls and tool calls so far, the last answer's words, the paths written,
the stage's id, the model calls made in it, and the task."""

SCRIPT_FUNCTIONS = {"instructions": "task", "stage": "task", "on_message": "message"}
"""The functions of an agent's script that take part, and the parameter of each."""

CHECK_NAMES = ("checks", "changed")
"""What a check's expression sees: what the other checks saw, in their order, and what the task changed (path to hash)."""

CHECK_FUNCTIONS = {"check": "seen"}
"""The function of a check's script; `seen` has both of them."""

HOST_FUNCTIONS = ("call_model", "call_tool", "ask", "make_artifact", "log")


class Scope(Struct, frozen=True):
    """The names that an expression may say. `steps` are those that come before; `all_steps` exist.

    `each`: `result` is one item's, of a step with foreach.
    """

    roots: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    steps: frozenset[str] = frozenset()
    all_steps: dict[str, Step] = {}
    step: Step | None = None
    each: bool = False


def workflow_findings(workflow: Workflow) -> list[Finding]:
    """What is wrong in a workflow's templates and expressions, and regular expressions."""
    spec = workflow.spec
    found: list[Finding] = []
    earlier = before(spec.steps)
    every = {step.id: step for step in spec.steps}
    inputs = tuple(spec.input)
    for index, step in enumerate(spec.steps):
        scope = Scope((), inputs, frozenset(earlier[step.id]), every, step)
        _step(step, ("spec", "steps", index), scope, found)
    scope = Scope(("input", "steps", "task"), inputs, frozenset(every), every)
    _templates(spec.output, ("spec", "output"), scope, found)
    return found


def agent_findings(agent: Agent) -> list[Finding]:
    """What is wrong in an agent's stages, script, regular expressions and output schema."""
    found: list[Finding] = []
    spec = agent.spec
    for index, stage in enumerate(spec.stages):
        if stage.when:
            _expression(stage.when, ("spec", "stages", index, "when"), Scope(STAGE_NAMES), found)
    for index, check in enumerate(spec.completion.checks):
        _check(check, ("spec", "completion", "checks", index), found)
    if spec.script:
        _script(spec.script, ("spec", "script"), found)
    if spec.output is not None:
        _schema(spec.output, ("spec", "output"), found)
    return found


def _check(check: Check, key: Key, found: list[Finding]) -> None:
    _patterns(check.expect.stdout, check.expect.stderr, (*key, "expect"), found)
    if check.probe is not None:
        _pattern(check.probe.body, (*key, "probe", "body"), found)
    if check.file is not None:
        _pattern(check.file.pattern, (*key, "file", "pattern"), found)
    if check.http is not None:
        _pattern(check.http.body, (*key, "http", "body"), found)
    if check.json_ is not None:
        _schema(check.json_.schema_, (*key, "json", "schema"), found)
    if check.script is not None:
        if expressions.functions(check.script):
            _script(check.script, (*key, "script"), found, CHECK_FUNCTIONS)
        else:
            _expression(check.script, (*key, "script"), Scope(CHECK_NAMES), found)


def _schema(schema: dict[str, Any], key: Key, found: list[Finding]) -> None:
    # Loaded where it is needed: it takes longer to import than everything else here.
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        found.append(Finding((*key, *error.absolute_path), f"is not JSON Schema: {error.message}"))


def before(steps: Sequence[Step]) -> dict[str, set[str]]:
    """For each step, the steps that come before it by `needs`, however far, itself left out."""
    needs = needs_of(steps)
    found: dict[str, set[str]] = {}
    for start in needs:
        seen: set[str] = set()
        waiting = list(needs[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += needs.get(name, ())
        found[start] = seen - {start}
    return found


_COMMON = ("input", "steps", "task", "attempt", "feedback")


def _step(step: Step, key: Key, scope: Scope, found: list[Finding]) -> None:
    each = ("item", "index") if step.foreach else ()
    whole = _with(scope, _COMMON)
    one = _with(scope, _COMMON + each)
    for name, text in (("if", step.if_), ("foreach", step.foreach)):
        if text:
            _expression(text, (*key, name), whole, found)
    if step.files:
        _expression(step.files, (*key, "files"), one, found)
    if step.passes:
        _expression(step.passes, (*key, "passes"), _with(scope, (*one.roots, "result"), each=True), found)
    _templates(step.prompt, (*key, "prompt"), one, found)
    _templates(step.line or "", (*key, "command" if step.serve is None else "serve"), one, found)
    _templates(step.with_, (*key, "with"), one, found)
    if step.approve is not None:
        _templates(step.approve.message, (*key, "approve", "message"), one, found)
    if step.onFail is not None:
        _templates(step.onFail.feedback, (*key, "onFail", "feedback"), _with(scope, (*_COMMON, "result")), found)
    if step.check is not None:
        _check(step.check, (*key, "check"), found)
    if step.expect is not None:
        _patterns(step.expect.stdout, step.expect.stderr, (*key, "expect"), found)
    if step.probe is not None:
        _pattern(step.probe.body, (*key, "probe", "body"), found)


def _with(scope: Scope, roots: tuple[str, ...], *, each: bool = False) -> Scope:
    return Scope(roots, scope.inputs, scope.steps, scope.all_steps, scope.step, each)


def _templates(value: object, key: Key, scope: Scope, found: list[Finding]) -> None:
    for inside, text in templates.texts(value):
        where = (*key, *inside)
        try:
            pieces = templates.parse(text)
        except templates.TemplateError as error:
            found.append(Finding(where, error.message, error.offset))
            continue
        for piece in pieces:
            if isinstance(piece, templates.Expression):
                _expression(piece.source, where, scope, found, piece.offset)


def _expression(source: str, key: Key, scope: Scope, found: list[Finding], offset: int | None = None) -> None:
    if offset is None and source.strip().startswith("{{"):
        found.append(Finding(key, f"an expression stands here without braces: {_short(source.strip(' {}'))}"))
        return
    mistake = expressions.mistake(source)
    if mistake is not None:
        at = None if offset is None or mistake.line > 1 else offset + mistake.column - 1
        found.append(Finding(key, f"'{_short(source)}' can't be read: {mistake.message}", at))
        return
    for path in expressions.reads(source):
        message = _wrong(path, scope)
        if message:
            found.append(Finding(key, f"{message} (in '{_short(source)}')", offset))


def _wrong(path: Path, scope: Scope) -> str:
    """Why a path names nothing; empty where it may name something."""
    root = str(path[0])
    if root not in scope.roots:
        hint = _elsewhere(root) or nearest(root, list(scope.roots))
        return f"there is no '{root}' here. {hint}"
    if len(path) == 1:
        return ""
    if root == "input" and path[1] not in scope.inputs:
        return f"there is no input '{path[1]}'. {nearest(str(path[1]), list(scope.inputs))}"
    if root == "result" and scope.step is not None:
        return _field(path[1:], scope.step, whole=not scope.each)
    if root == "steps":
        return _of_step(path, scope)
    return ""


def _elsewhere(root: str) -> str:
    if root in ("item", "index"):
        return f"'{root}' is for steps with foreach, and not in their if, foreach and onFail."
    if root == "result":
        return "'result' is for passes and onFail.feedback; elsewhere say steps.ID."
    return ""


def _of_step(path: Path, scope: Scope) -> str:
    name = str(path[1])
    step = scope.all_steps.get(name)
    own = scope.step
    if step is None:
        return f"there is no step '{name}'. {nearest(name, sorted(scope.steps) or sorted(scope.all_steps))}"
    if own is not None and name == own.id:
        return f"the step '{name}' can't see itself; say 'result' in passes and onFail.feedback"
    if own is not None and name not in scope.steps:
        return f"the step '{name}' doesn't come before '{own.id}'; add it to its needs"
    return _field(path[2:], step, whole=True)


def _field(path: Path, step: Step, *, whole: bool) -> str:
    if not path:
        return ""
    known = list(FIELDS)
    if step.foreach and whole:
        known.append("items")
        if path[0] == "items":
            return _field(path[2:], step, whole=False)
        if path[0] in COMMAND_FIELDS:
            return f"the step '{step.id}' has foreach; say items[0].{path[0]}, or go through its items"
    elif step.line is not None:
        known += COMMAND_FIELDS
    if path[0] in known:
        return ""
    if path[0] in COMMAND_FIELDS:
        return f"the step '{step.id}' is no command, so it has no {path[0]}; it has {', '.join(known)}"
    return f"the step '{step.id}' has no '{dotted(path[:1])}'. {nearest(str(path[0]), known)}"


def _script(source: str, key: Key, found: list[Finding], functions: dict[str, str] = SCRIPT_FUNCTIONS) -> None:
    mistake = expressions.script_mistake(source)
    if mistake is not None:
        lines = source.split("\n")
        at = sum(len(line) + 1 for line in lines[: mistake.line - 1]) + mistake.column - 1
        found.append(Finding(key, f"the script can't be read: {mistake}", at))
        return
    defined = expressions.functions(source)
    taking = [name for name in defined if name in functions]
    if not taking:
        hint = next((nearest(name, list(functions)) for name in defined), "")
        known = ", ".join(f"{name}({argument})" for name, argument in functions.items())
        found.append(Finding(key, f"the script defines none of {known}. {hint}".rstrip()))
    for name in taking:
        if defined[name] != (functions[name],):
            wanted = f"def {name}({functions[name]})"
            found.append(Finding(key, f"expected '{wanted}', found '{name}({', '.join(defined[name])})'"))
    found += [
        Finding(key, f"'{name}' is a function of the host; give the script's own another name")
        for name in HOST_FUNCTIONS
        if name in defined
    ]


def _patterns(stdout: str | None, stderr: str | None, key: Key, found: list[Finding]) -> None:
    for name, pattern in (("stdout", stdout), ("stderr", stderr)):
        if pattern is not None:
            _pattern(pattern, (*key, name), found)


def _pattern(pattern: str, key: Key, found: list[Finding]) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        found.append(Finding(key, f"is not a regular expression: {error}"))


def _short(source: str) -> str:
    text = " ".join(source.split())
    return text if len(text) <= 60 else text[:57] + "..."
