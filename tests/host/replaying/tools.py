"""Trusted tools that play no part outside: what they did stands in the host's own `calls`."""

from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result

TEXT = {"type": "string"}


class Calls:
    """What was really called, in order."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []


CALLS = Calls()


class Note:
    """Writes a file of the workspace."""

    spec = ToolSpec(
        "note",
        "Write a file.",
        {"type": "object", "properties": {"path": TEXT, "text": TEXT}, "required": ["path", "text"]},
        idempotent=True,
        workspace=True,
        trusted=True,
    )

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        CALLS.made.append(("note", arguments))
        await context.workspace.write(arguments["path"], arguments["text"].encode())
        return text_result(f"wrote {arguments['path']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Send:
    """Not safe to repeat, and it surely knows by its key what it never did."""

    spec = ToolSpec(
        "send", "Send it.", {"type": "object", "properties": {"to": TEXT}, "required": ["to"]}, trusted=True
    )

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        CALLS.made.append(("send", arguments))
        return text_result(f"sent to {arguments['to']} ({len(CALLS.made)})")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        raise KeyError(key)


note, send = Note(), Send()
