"""How every program reads what comes back: whether a command showed what was expected, and whether a
person agreed. And the question that comes before a tool that needs that."""

import re
from typing import Any

import msgspec

from agenthost.core.commands import Ask
from agenthost.core.definitions import PinnedTool
from agenthost.core.events import Reply, RunResult
from agenthost.core.manifests.common import Expect, SandboxSpec

SHOWN = 300
"""Characters of a reason or of an error's last line that are kept."""

APPROVE = ("approve", "deny")

YES = frozenset(("approve", "approved", "yes", "y", "ok"))


def clip(text: str) -> str:
    """The beginning of a text, where it is long."""
    text = text.strip()
    return text if len(text) <= SHOWN else text[:SHOWN].rstrip() + " ..."


def unmet(run: RunResult, expect: Expect) -> str:
    """Why a run doesn't show what was expected; empty where it does."""
    if run.limit == "time":
        return f"the command timed out after {run.duration:.3g} s"
    if run.limit:
        return f"the command was ended by the sandbox's limit on {run.limit}"
    if expect.exitCode is not None and run.exit_code != expect.exitCode:
        last = run.stderr.strip().rpartition("\n")[2]
        return f"the command exited with {run.exit_code}" + (f": {clip(last)}" if last else "")
    for name, pattern, text in (("stdout", expect.stdout, run.stdout), ("stderr", expect.stderr, run.stderr)):
        if pattern is not None and re.search(pattern, text) is None:
            return f"the command's {name} has nothing that matches {pattern!r}"
    return run.report.reason if run.report is not None else ""


def safe(tool: PinnedTool, sandbox: SandboxSpec) -> bool:
    """Whether a call may be made again after a crash: not where its code may have changed something out there."""
    return tool.read_only or (tool.idempotent and not (tool.sandbox and sandbox.hosts))


def approval(base: str, tool: str, arguments: dict[str, Any]) -> Ask:
    """The question before a call that needs a person's approval: exactly what will be done."""
    shown = msgspec.json.format(msgspec.json.encode(arguments), indent=2).decode()
    return Ask(f"{base}-ok", "approval", f"May the tool '{tool}' be called with these arguments?\n{shown}", APPROVE)


def approved(answer: object) -> bool:
    """Whether a person's answer to an approval is a yes. Anything else is a no."""
    return isinstance(answer, Reply) and answer.text.strip().lower() in YES
