"""What came of a command, as expressions see it, and whether the step's run counts as passed."""

from typing import Any, cast

import msgspec
from msgspec import Struct

from agenthost.core.checks import Seen
from agenthost.core.errors import Failure
from agenthost.core.events import Answer, ChildResult, RunResult
from agenthost.core.manifests.common import Expect
from agenthost.core.parts import DataPart, FilePart, Part, TextPart, text_of
from agenthost.core.tools import ToolResult
from agenthost.programs.answers import clip, unmet
from agenthost.programs.workflow.state import Outcome

EXPECT = Expect.model_validate({})
"""What a command must show where its step says nothing: exit code 0."""

NOT_RUN: dict[str, Any] = {
    "text": "",
    "data": None,
    "exit_code": None,
    "stdout": "",
    "stderr": "",
    "ok": False,
    "files": [],
    "skipped": False,
    "items": [],
    "attempt": 0,
    "reason": "",
}
"""What expressions see of a step that has not run."""

FINAL_CODES = frozenset(("budget", "auth", "scripted-unreadable", "in-doubt", "stopped"))
"""Failures that a retry or a return to an earlier step can't mend."""

_FILE_KEYS = frozenset(("type", *FilePart.__struct_fields__))

_OUTCOMES: dict[str, Outcome] = {"partly": "partly", "needs-person": "needs-person", "unachievable": "unachievable"}


class Taken(Struct, frozen=True):
    """An answer taken: what expressions see; why it failed (empty: it didn't) and what that makes of the
    task; `final` where neither a retry nor a return can help."""

    result: dict[str, Any]
    reason: str = ""
    outcome: Outcome = "unachievable"
    final: bool = False
    code: str = ""
    changes: dict[str, str | None] = {}


def take(answer: Answer | None, failure: Failure | None, expect: Expect, verdict: str) -> Taken:
    """What came of a step's command. `verdict`: the key of a structured output that says whether it passed."""
    if failure is not None:
        return failed(failure)
    if isinstance(answer, RunResult):
        return _run(answer, expect)
    if isinstance(answer, ToolResult):
        shown = _shown(answer.parts, answer.changes)
        reason = f"the tool answered with an error: {clip(answer.text)}" if answer.error else ""
        return Taken(shown, reason, changes=answer.changes)
    if isinstance(answer, Seen):
        return Taken(NOT_RUN | {"text": answer.reason, "data": answer.facts, "ok": True}, answer.reason)
    if isinstance(answer, ChildResult):
        return _child(answer, verdict)
    return Taken(dict(NOT_RUN), "it was answered with something that this step can't use", final=True)


def failed(failure: Failure) -> Taken:
    """What a command that could not be performed comes to."""
    outcome: Outcome = "partly" if failure.code == "budget" else "blocked"
    return Taken(dict(NOT_RUN), failure.message, outcome, failure.code in FINAL_CODES, failure.code)


def combined(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What a step with `foreach` shows: its items' results in order, and of each kind all together."""
    return NOT_RUN | {
        "text": "\n".join(result["text"] for result in results if result["text"]),
        "data": [result["data"] for result in results],
        "files": list(dict.fromkeys(path for result in results for path in result["files"] if isinstance(path, str))),
        "ok": all(result["ok"] for result in results),
        "items": results,
    }


def as_parts(value: Any) -> tuple[Part, ...]:
    """A value as what comes out of a task: words, files, or data."""
    if isinstance(value, str):
        return (TextPart(value),)
    files = as_files(value)
    return files if files else (DataPart(value),)


def result_parts(result: dict[str, Any]) -> tuple[Part, ...]:
    """What a step's result is as what comes out of a task."""
    text, data = result["text"], result["data"]
    structured = isinstance(data, dict | list)
    parts: list[Part] = []
    if text and not (structured and read_json(text) == data):
        parts.append(TextPart(text))
    if structured:
        parts.append(DataPart(data))
    return (*parts, *(as_files([file for file in result["files"] if isinstance(file, dict)]) or ()))


def as_files(value: Any) -> tuple[FilePart, ...] | None:
    """The files of a value that is a file, or a list of them; None where it is something else."""
    if isinstance(value, list | tuple):
        found = [as_files(inner) for inner in cast("list[Any]", value)]
        return None if None in found else tuple(part for parts in found if parts for part in parts)
    if not isinstance(value, dict) or not _FILE_KEYS.issuperset(cast("dict[str, Any]", value)):
        return None
    try:
        return (msgspec.convert({"type": "file", **cast("dict[str, Any]", value)}, FilePart),)
    except msgspec.ValidationError:
        return None


def read_json(text: str) -> Any:
    """A text read as JSON; None where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _shown(parts: tuple[Part, ...], changes: dict[str, str | None]) -> dict[str, Any]:
    text = text_of(parts)
    data = [part.data for part in parts if isinstance(part, DataPart)]
    if data and not text:
        text = msgspec.json.encode(data[-1]).decode()
    files: list[Any] = [path for path, digest in changes.items() if digest is not None]
    files += [_file(part) for part in parts if isinstance(part, FilePart)]
    return NOT_RUN | {"text": text, "data": data[-1] if data else read_json(text), "files": files, "ok": True}


def _file(part: FilePart) -> dict[str, Any]:
    return {"digest": part.digest, "media_type": part.media_type, "size": part.size, "name": part.name}


def _run(run: RunResult, expect: Expect) -> Taken:
    shown = _shown((TextPart(run.stdout),), run.changes)
    shown |= {"exit_code": run.exit_code, "stdout": run.stdout, "stderr": run.stderr}
    return Taken(shown, unmet(run, expect), changes=run.changes)


def _child(child: ChildResult, verdict: str) -> Taken:
    conflicted = set(child.conflicts)
    changes = {path: digest for path, digest in child.changes.items() if path not in conflicted}
    shown = _shown(child.parts, changes)
    ended = child.verdict
    if ended.outcome != "done":
        why = clip(ended.reason) or f"it ended {ended.outcome}"
        final = ended.outcome == "canceled" or ended.code in FINAL_CODES
        return Taken(shown, why, _OUTCOMES.get(ended.outcome, "blocked"), final, ended.code, changes)
    if child.conflicts:
        paths = ", ".join(child.conflicts[:10])
        return Taken(shown, f"it changed files that others changed too: {paths}", "blocked", changes=changes)
    data = cast("dict[str, Any]", shown["data"]) if isinstance(shown["data"], dict) else {}
    if verdict and data.get(verdict) is False:
        return Taken(shown, said(data) or f"it answered that '{verdict}' is false", changes=changes)
    return Taken(shown, changes=changes)


def said(data: Any) -> str:
    """Why something didn't pass, in the words of a structured output: `reasons`, `feedback` or `reason`."""
    if not isinstance(data, dict):
        return ""
    for key in ("reasons", "feedback", "reason"):
        value = cast("dict[str, Any]", data).get(key)
        if isinstance(value, list):
            value = "; ".join(str(line) for line in cast("list[Any]", value))
        if isinstance(value, str) and value.strip():
            return clip(value)
    return ""
