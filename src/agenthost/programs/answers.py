"""How every program reads what comes back: whether a command showed what was expected, and whether a
person agreed. And the question that comes before a tool that needs that."""

import re
from typing import Any

from msgspec import Struct

from agenthost.core.commands import Ask
from agenthost.core.definitions import PinnedTool
from agenthost.core.events import Reply, RunResult
from agenthost.core.manifests.asking import Approvals
from agenthost.core.manifests.common import Expect, SandboxSpec
from agenthost.core.questions import ALWAYS, DECISIONS, DENY, HOST, TIME_LIMIT, Asking, agrees, readable

NO_LIMITS = Asking()
"""Questions that wait without end."""


class Why(Struct, frozen=True):
    """Why a person is asked before something. `told` is the question's first line, empty for a tool's; `untrusted`: the
    call, or its arguments, come of untrusted content."""

    told: str = ""
    reason: str = ""
    untrusted: bool = False


SHOWN = 300
"""Characters of a reason or of an error's last line that are kept."""


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


def approval(
    base: str,
    tool: str,
    arguments: dict[str, Any],
    given: Approvals | None = None,
    asking: Asking = NO_LIMITS,
    why: Why | None = None,
) -> Ask:
    """The question before something that needs a person's approval: exactly what will be done. `given`: what the manifest
    says of approvals, `asking` what holds where it says nothing. `why`: why a person is asked this time."""
    why = why or Why()
    told = why.told or f"May the tool '{tool}' be called with these arguments?"
    because = f"{why.reason}\n\n" if why.reason else ""
    expires, default, by = terms(given, asking)
    return Ask(
        f"{base}-ok",
        "approval",
        f"{because}{told}\n{readable(arguments)}",
        DECISIONS if why.untrusted else (*DECISIONS, ALWAYS),
        # What comes of untrusted content is never agreed to by nobody.
        DENY if why.untrusted else default,
        expires,
        base,
        tool,
        arguments,
        by=by,
        reason=why.reason,
        untrusted=why.untrusted,
    )


def terms(given: Approvals | None, asking: Asking) -> tuple[float | None, str, tuple[str, ...]]:
    """How long an approval waits (None: without end), what counts then, and who may answer."""
    within = given.within if given is not None and given.within is not None else asking.approvals
    default = given.default if given is not None else DENY
    by = given.by if given is not None and given.by else asking.by
    return within or None, default, by


def approved(answer: object) -> bool:
    """Whether a person's answer to an approval is a yes. Anything else is a no."""
    return isinstance(answer, Reply) and agrees(answer.text)


def refusal(answer: object, what: str) -> str:
    """Why something that needs an approval isn't done: what was said, or that nobody answered in time."""
    if not isinstance(answer, Reply):
        return "the approval was not given"
    if answer.by == HOST and answer.via == TIME_LIMIT:
        return f"nobody approved {what} in time, so it was not done"
    return f"a person did not allow {what}; they said: {clip(answer.text)}"
