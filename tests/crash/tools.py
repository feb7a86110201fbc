"""Trusted tools whose effects stand in a file outside the host: what really happened, whatever the journal says."""

import asyncio
import json
import os
from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result

PARAMETERS = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}


def _log() -> str:
    return os.environ["CRASH_EFFECTS"]


def effects() -> list[dict[str, Any]]:
    """What happened, in order."""
    try:
        with open(_log(), encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def _happen(tool: str, key: str, arguments: dict[str, Any]) -> None:
    line = json.dumps({"tool": tool, "key": key, "arguments": arguments}) + "\n"
    descriptor = os.open(_log(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class Pay:
    """Not safe to repeat, and nobody can tell afterwards whether it happened."""

    spec = ToolSpec("pay", "Pay somebody.", PARAMETERS, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        await asyncio.sleep(0.01)
        _happen("pay", context.key, arguments)
        await asyncio.sleep(0.02)
        return text_result("paid")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Book:
    """Not safe to repeat, and the other side can be asked by key."""

    spec = ToolSpec("book", "Book something.", PARAMETERS, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        await asyncio.sleep(0.01)
        _happen("book", context.key, arguments)
        await asyncio.sleep(0.02)
        return text_result("booked")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        if any(effect["key"] == key for effect in effects()):
            return text_result("booked")
        raise KeyError(key)


class Look:
    """Safe to repeat."""

    spec = ToolSpec("look", "Look something up.", PARAMETERS, read_only=True, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        await asyncio.sleep(0.01)
        _happen("look", context.key, arguments)
        return text_result("seen")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


pay = Pay()
book = Book()
look = Look()
