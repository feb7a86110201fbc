"""The trusted Python tool of our subject, as a person's settings would name it."""

import time
from typing import Any

from agenthost.core.tools import ToolResult, ToolSpec, text_result

_NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


class Add:
    """Adds two numbers. With `rounds` it notes the clock and the process's CPU at each call, and says `done` at the last of them."""

    def __init__(self) -> None:
        self.spec = ToolSpec("add", "Add two numbers.", _NUMBERS, idempotent=True, trusted=True)
        self.rounds = 0
        self.times: list[tuple[float, float]] = []

    async def call(self, arguments: dict[str, Any], context: Any) -> ToolResult:
        """The sum."""
        if self.rounds:
            self.times.append((time.perf_counter(), time.process_time()))
            if len(self.times) >= self.rounds:
                return text_result("done")
        return text_result(str(arguments["a"] + arguments["b"]))

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        """Nobody needs to know: it may be called again."""
        return None


ADD = Add()
