"""Receipts: what the host itself saw a task do. A receipt's number is that of the event that tells of it.

What an agent says, its own or one that it gave work to, is never a receipt; what it did to files is.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.checks import FileLook, FilesLook, HttpLook, Seen
from agenthost.core.commands import Ask, CallTool, Command, Inspect, RunCommand, StartChild
from agenthost.core.events import Answer, ChildResult, Reply, RunResult, Value
from agenthost.core.ids import digest
from agenthost.core.tools import ToolResult

Kind = Literal["tool", "run", "check", "look", "child", "person", "client"]

TEXT = 1000
"""Characters of what came of something that a receipt keeps: its head and its tail."""

CUT = "\n[... "
"""What stands in the place of a text's middle."""

MOST = 150
"""Receipts that are kept: the newest, and of those before them the checks."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """One thing that the host saw. `event` is its number in the task's journal.

    Kind `run`: a command that the agent had run. `check`, `look`: what the host ran or looked at itself. `child`: files that
    an agent below changed. `person`, `client`: what a person answered, what the giver of the work says that its tool
    did. `ok` is False for errors and failed checks. `output` is the hash of the whole text. `changes` are files by hash,
    None where removed. `reads` are paths that it is about and doesn't change. `check` is the check's place in the manifest.
    `round` is the round of checks that it belongs to. `inside`: a tool that works on the files, and runs nothing.
    """

    event: int
    at: float
    kind: Kind
    what: str
    ok: bool = True
    exit_code: int | None = None
    text: str = ""
    output: str = ""
    changes: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    reads: tuple[str, ...] = ()
    facts: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    check: int | None = None
    round: int = 0
    inside: bool = False


def receipt(
    event: int, at: float, command: Command, answer: Answer | None, code: bool, inside: bool = False
) -> Receipt | None:
    """The receipt of an answered command, if it is one. `code`: the tool runs code in the sandbox; `inside`: it works on
    the files and runs none."""
    if isinstance(command, CallTool) and isinstance(answer, ToolResult):
        return msgspec.structs.replace(_tool(event, at, command, answer, code), inside=inside)
    if isinstance(command, RunCommand) and isinstance(answer, RunResult):
        text = answer.stdout + (f"\n--- stderr ---\n{answer.stderr}" if answer.stderr else "")
        facts = answer.report.facts if answer.report else {}
        return Receipt(
            event, at, "check", clip(command.command), not answer.limit, answer.exit_code, clip(text),
            digest(text.encode(errors="replace")), answer.changes, facts=facts,
        )  # fmt: skip
    if isinstance(command, Inspect) and isinstance(answer, Seen):
        return _look(event, at, command, answer)
    if isinstance(answer, Value):
        return Receipt(event, at, "check", "a script over the checks")
    if isinstance(command, StartChild) and isinstance(answer, ChildResult) and command.kind != "supervisor":
        kept = {path: name for path, name in answer.changes.items() if path not in set(answer.conflicts)}
        # What it says of its work is a claim; without files there is nothing that the host saw.
        if not kept:
            return None
        return Receipt(event, at, "child", f"the files that {command.kind} '{command.name}' changed", changes=kept)
    if isinstance(command, Ask) and isinstance(answer, Reply) and answer.by != "host":
        kind: Kind = "client" if command.kind == "tool" else "person"
        what = command.tool if kind == "client" else f"asked: {command.question}"
        return Receipt(event, at, kind, clip(what), text=clip(answer.text))
    return None


def _tool(event: int, at: float, command: CallTool, answer: ToolResult, code: bool) -> Receipt:
    arguments = msgspec.json.encode(command.arguments).decode()
    line = command.arguments.get("command") if code else None
    what = line if isinstance(line, str) else f"{command.tool} {arguments}"
    path = command.arguments.get("path")
    reads = (path,) if isinstance(path, str) and path not in answer.changes else ()
    text = answer.text
    hashed = digest(text.encode(errors="replace"))
    ok = not answer.error
    kind: Kind = "run" if code else "tool"
    return Receipt(event, at, kind, clip(what), ok, answer.exit_code, clip(text), hashed, answer.changes, reads)


def _look(event: int, at: float, command: Inspect, seen: Seen) -> Receipt:
    look = command.look
    if isinstance(look, FilesLook):
        return Receipt(event, at, "look", "the host's look at all files")
    if isinstance(look, HttpLook):
        return Receipt(event, at, "check", f"GET {look.url}", seen.ok, text=seen.reason, facts=seen.facts)
    what = f"no file {look.path}" if isinstance(look, FileLook) and look.absent else f"the file {look.path}"
    return Receipt(event, at, "check", what, seen.ok, text=seen.reason, reads=(look.path,), facts=seen.facts)


def clip(text: str, most: int = TEXT) -> str:
    """Head and tail of a text that is long."""
    text = text.strip()
    if len(text) <= most:
        return text
    return f"{text[: most // 3]}{CUT}{len(text) - most} characters ...]\n{text[-(most - most // 3) :]}"
