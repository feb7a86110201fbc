"""Trusted tools of the recorded agents."""

import os
from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result

TEXT = {"type": "string"}
TO = {"type": "object", "properties": {"to": TEXT}, "required": ["to"]}


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
        await context.workspace.write(arguments["path"], arguments["text"].encode())
        return text_result(f"wrote {arguments['path']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Send:
    """Not safe to repeat, and nobody can tell afterwards. Where WRECK is set, the host dies of it."""

    def __init__(self, name: str, approval: bool = False) -> None:
        self.spec = ToolSpec(name, f"{name.capitalize()} it.", TO, approval=approval, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        if os.environ.get("WRECK"):
            os._exit(9)
        return text_result(f"done for {arguments['to']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


note, send, pay = Note(), Send("send"), Send("pay", approval=True)
