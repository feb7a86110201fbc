"""One check after the other: its command, whether what came back is as wanted, and how that is told.

Commands run first, in the order of the manifest; then addresses are asked; then files are looked at, as they are after
all commands; scripts come last, over what was seen. So nothing that a command does escapes the looks at files.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from agenthost.core import expressions
from agenthost.core.checks import Seen
from agenthost.core.commands import Command, Evaluate, Inspect, RunCommand
from agenthost.core.events import Answer, RunResult, Value
from agenthost.core.manifests.checks import Check
from agenthost.core.ports import Evaluation
from agenthost.programs.answers import clip, unmet

OUTPUT_SHOWN = 4000
"""Characters of a check's output that go back to the agent: its end, where the error stands."""

RUNS = ("run", "serve")
"""The kinds that run code, which may change files."""

FUNCTION = "check"
"""The function of a check's script that is called, where it has one."""

_RANK = {"run": 0, "serve": 0, "http": 1, "file": 2, "json": 2, "untouched": 2, "script": 3}


def ordered(checks: Sequence[Check]) -> list[int]:
    """In which order checks are made, by their place in the manifest."""
    return sorted(range(len(checks)), key=lambda index: _RANK[checks[index].kind])


def command(check: Check, id: str, network: bool) -> Command:
    """What the host is asked to do for a check."""
    if check.script is not None:
        if FUNCTION in expressions.functions(check.script):
            return Evaluate(id, function=FUNCTION)
        return Evaluate(id, {FUNCTION: check.script})
    if check.look is not None:
        return Inspect(id, check.look)
    probe = check.probe.probe() if check.probe else None
    return RunCommand(id, check.line, check.timeout, network, probe, report=check.wanted())


def evaluation(check: Check, command: Evaluate, results: list[dict[str, Any]], changed: dict[str, Any]) -> Evaluation:
    """What a check's script is given: what the others saw, and what the task changed (path to digest, None: removed)."""
    if command.function:
        return Evaluation({}, {"seen": {"checks": results, "changed": changed}}, check.script or "", command.function)
    return Evaluation(command.expressions, {"checks": results, "changed": changed})


def problem(check: Check, answer: Answer | None, touched: Iterable[str]) -> str:
    """Why what came back doesn't show what was wanted; empty where it does. `touched` are paths that the task changed."""
    if isinstance(answer, RunResult) and check.kind in RUNS:
        return unmet(answer, check.expect)
    if isinstance(answer, Seen) and check.untouched is not None:
        paths = [path for path in sorted(touched) if any(fnmatchcase(path, like) for like in check.untouched)]
        return f"these were changed, and should have been left alone: {', '.join(paths[:20])}" if paths else ""
    if isinstance(answer, Seen):
        return answer.reason if not answer.ok else ""
    if isinstance(answer, Value) and check.script is not None:
        value = next(iter(answer.values.values()), None)
        if value is True:
            return ""
        return (
            clip(value) if isinstance(value, str) and value.strip() else f"it came to {clip(repr(value))}, not to true"
        )
    return "what came of it is not known"


def shown(check: Check, answer: Answer | None, why: str) -> dict[str, Any]:
    """A check as scripts see it."""
    value: dict[str, Any] = {"kind": check.kind, "what": check.line, "ok": not why, "reason": why, "facts": {}}
    value |= {"exit_code": None, "stdout": "", "stderr": ""}
    if isinstance(answer, RunResult):
        value |= {"exit_code": answer.exit_code, "stdout": answer.stdout[-20_000:], "stderr": answer.stderr[-20_000:]}
        value["facts"] = answer.report.facts if answer.report else {}
    elif isinstance(answer, Seen):
        value["facts"] = answer.facts
    return value


def told(check: Check, why: str, answer: Answer | None) -> str:
    """What the agent is told of a check that failed."""
    if not isinstance(answer, RunResult):
        again = " It is made again." if not isinstance(answer, Seen | Value) else ""
        return f"The check `{check.line}` failed: {why}.{again}"
    output = answer.stdout.strip()
    if answer.stderr.strip():
        output += ("\n" if output else "") + "--- stderr ---\n" + answer.stderr.strip()
    if len(output) > OUTPUT_SHOWN:
        cut = f"[... {len(output) - OUTPUT_SHOWN} characters before this are left out ...]\n"
        output = cut + output[-OUTPUT_SHOWN:]
    return f"The check `{check.line}` failed: {why}.\n{output or '(It printed nothing.)'}"
