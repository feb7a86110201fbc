"""The built-in tools for the files and commands of a task's workspace.

Writing in the workspace is not a side effect: the engine restores the workspace before it repeats a
call, so all of these may be repeated. What the model did wrong comes back as an error result that says
what to do.
"""

from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.parts import TextPart
from agenthost.core.ports import Tool, ToolContext
from agenthost.core.sandboxes import SandboxOutcome
from agenthost.core.tools import ToolResult, ToolSpec, text_result

MOST = 20_000
"""Characters of a result that a model is shown; about 5,000 tokens."""

_LIMITS = {
    "time": "it ran out of time; do less, or ask for more with `timeout`",
    "memory": "it used too much memory; work on less at a time",
    "output": "it printed too much; write to a file instead",
    "disk": "it wrote too much; write less, and delete what is not needed",
}

Call = Callable[[dict[str, Any], ToolContext], Awaitable[ToolResult]]


class WorkspaceTool:
    """A tool made of its specification and one function."""

    def __init__(self, spec: ToolSpec, function: Call) -> None:
        self._spec = spec
        self._function = function

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        return self._spec

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        """One call. Raises only what the model can't mend (a full disk, no sandbox)."""
        try:
            return await self._function(arguments, context)
        except (BadInput, NotFound) as error:
            if error.code == "unavailable":
                raise
            return text_result(error.message, error=True)

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        """Nobody needs to know: it may be repeated."""
        return None


def workspace_tools() -> list[Tool]:
    """The tools of the group `workspace`."""
    path = {"type": "string", "description": "Relative to the workspace, such as src/main.py."}
    return [
        _tool("list_files", "List the files of the workspace with their sizes in bytes.", _list_files, {
            "pattern": {"type": "string", "description": "Only paths like this, such as *.py or src/*."},
        }, (), read_only=True),
        _tool("read_file", "Read a text file of the workspace.", _read_file, {
            "path": path,
            "offset": {"type": "integer", "minimum": 1, "description": "The first line, from 1."},
            "limit": {"type": "integer", "minimum": 1, "description": "How many lines."},
        }, ("path",), read_only=True),
        _tool("write_file", "Write a text file, replacing what is there. Folders are made as needed.", _write_file, {
            "path": path,
            "content": {"type": "string", "description": "The whole content."},
        }, ("path", "content")),
        _tool("edit_file", "Replace a piece of a text file. `old` must be in it exactly once.", _edit_file, {
            "path": path,
            "old": {"type": "string", "minLength": 1, "description": "The piece to replace, exactly as it is."},
            "new": {"type": "string", "description": "What to put in its place."},
        }, ("path", "old", "new")),
        _tool("delete_file", "Delete a file of the workspace.", _delete_file, {"path": path}, ("path",)),
        _tool("run", "Run a shell command in the sandbox, in the workspace's folder. Nothing outside the "
              "workspace stays.", _run, {
            "command": {"type": "string", "minLength": 1, "description": "Such as: python -m pytest -q"},
            "timeout": {"type": "number", "exclusiveMinimum": 0, "description": "Most seconds."},
        }, ("command",), sandbox=True),
    ]  # fmt: skip


def _tool(
    name: str,
    description: str,
    function: Call,
    properties: dict[str, Any],
    required: tuple[str, ...],
    read_only: bool = False,
    sandbox: bool = False,
) -> Tool:
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        parameters["required"] = list(required)
    spec = ToolSpec(
        name,
        description,
        parameters,
        read_only=read_only,
        idempotent=True,
        workspace=True,
        sandbox=sandbox,
        trusted=not read_only and not sandbox,
    )
    return WorkspaceTool(spec, function)


async def _list_files(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    files = await context.workspace.list()
    pattern = arguments.get("pattern")
    if pattern:
        shown = [(path, size) for path, size in files if fnmatchcase(path, pattern)]
        if not shown:
            return text_result(f"None of the {len(files)} files is like '{pattern}'.")
    else:
        shown = files
        if not shown:
            return text_result("The workspace is empty.")
    lines = [f"{path} ({size})" for path, size in shown]
    kept, length = 0, 0
    while kept < len(lines) and length + len(lines[kept]) < MOST:
        length += len(lines[kept]) + 1
        kept += 1
    if kept < len(lines):
        lines[kept:] = [f"[{len(lines) - kept} of {len(lines)} files are not shown; narrow it with `pattern`]"]
    return text_result("\n".join(lines))


async def _read_file(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    path: str = arguments["path"]
    text = _text(path, await context.workspace.read(path))
    if not text:
        return text_result(f"{path} is empty.")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    first = int(arguments.get("offset", 1))  # 2.0 is an integer to JSON Schema
    if first > len(lines):
        raise BadInput(f"{path} has {len(lines)} lines; give an offset of at most {len(lines)}")
    last = min(len(lines), first - 1 + int(arguments.get("limit", len(lines))))
    return text_result(_window(path, lines, first, last))


def _window(path: str, lines: list[str], first: int, last: int) -> str:
    """Lines `first` to `last`, from 1, as many as there is room for, and how to get the rest."""
    shown: list[str] = []
    room = MOST
    for line in lines[first - 1 : last]:
        if len(line) + 1 > room:
            break
        shown.append(line)
        room -= len(line) + 1
    end = first - 1 + len(shown)
    if not shown:
        long = lines[first - 1]
        note = f"[line {first} of {path} has {len(long):,} characters; {MOST:,} are shown. Use `run` with cut -c for the rest]"
        return f"{long[:MOST]}\n{note}"
    text = "\n".join(shown)
    if end < last:
        return f"{text}\n[lines {first} to {end} of {len(lines)}; go on with offset {end + 1}]"
    if first > 1 or end < len(lines):
        return f"{text}\n[lines {first} to {end} of {len(lines)}]"
    return text


async def _write_file(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    path: str = arguments["path"]
    content = _bytes(arguments["content"])
    await context.workspace.write(path, content)
    return await _changed(f"Wrote {path} ({len(content)} bytes).", context)


async def _edit_file(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    path, old, new = arguments["path"], arguments["old"], arguments["new"]
    text = _text(path, await context.workspace.read(path))
    count = text.count(old)
    if count == 0:
        hint = " (it is there with other spaces or line ends)" if _squeezed(old) in _squeezed(text) else ""
        raise BadInput(f"`old` is not in {path}{hint}; read the file and give the piece exactly as it is")
    if count > 1:
        raise BadInput(f"`old` is {count} times in {path}; give more of the lines around it, so that it is there once")
    content = _bytes(text.replace(old, new))
    await context.workspace.write(path, content)
    line = text[: text.index(old)].count("\n") + 1
    return await _changed(f"Edited {path} at line {line}.", context)


async def _delete_file(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    path: str = arguments["path"]
    await context.workspace.delete(path)
    return await _changed(f"Deleted {path}.", context)


async def _run(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    outcome = await context.run(arguments["command"], arguments.get("timeout"))
    result = await _changed(outcome_text(outcome), context)
    return msgspec.structs.replace(result, exit_code=outcome.exit_code)


async def _changed(text: str, context: ToolContext) -> ToolResult:
    """A result with what changed in the workspace; an error result where that can't be kept as it is."""
    try:
        changes = await context.workspace.changes()
    except BadInput as error:
        if error.code == "unavailable":
            raise
        return text_result(f"{text}\n[the workspace can't be kept as it is: {error.message}]", error=True)
    return ToolResult((TextPart(text),), changes=changes)


def outcome_text(outcome: SandboxOutcome, most: int = MOST) -> str:
    """A run as a model reads it: exit code, the limit that ended it, stdout and stderr, cut in the middle."""
    lines = [f"exit code: {outcome.exit_code}"]
    if outcome.limit:
        lines.append(f"stopped: {_LIMITS.get(outcome.limit, outcome.limit)}")
    stdout = outcome.stdout.decode(errors="replace")
    stderr = outcome.stderr.decode(errors="replace")
    # Each may have half, and what the other leaves.
    half = most // 2
    for name, text, other in (("stdout", stdout, stderr), ("stderr", stderr, stdout)):
        if text:
            lines.append(f"{name}:\n{middle_cut(text, max(half, most - len(other)))}")
    if not stdout and not stderr:
        lines.append("no output")
    if outcome.cut:
        lines.append(f"[{outcome.cut:,} more bytes of output were dropped; write to a file and read a part of it]")
    return "\n".join(lines)


def middle_cut(text: str, most: int) -> str:
    """`text` with its middle left out where it is longer than `most` characters, and a note of that."""
    text = text.removesuffix("\n")
    if len(text) <= most:
        return text
    begin = most // 3
    end = most - begin
    left = len(text) - most
    return f"{text[:begin]}\n[{left:,} characters are left out; write to a file and read a part of it]\n{text[-end:]}"


def _text(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not a text file ({len(content):,} bytes); use `run` to look into it") from None


def _bytes(content: str) -> bytes:
    try:
        return content.encode()
    except UnicodeEncodeError:
        raise BadInput("the content has half a surrogate pair in it; write whole characters") from None


def _squeezed(text: str) -> str:
    return "".join(text.split())
