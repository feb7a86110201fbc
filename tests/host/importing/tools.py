"""The tools of the recorded agents; what has an effect stands in `DONE`."""

from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result
from tests.recordings.tools import TO, note

__all__ = ["DONE", "note", "pay", "send"]


class Done:
    """What was really done, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []


DONE = Done()


class Send:
    """Not safe to repeat, and nobody can tell afterwards."""

    def __init__(self, name: str, approval: bool = False) -> None:
        self.spec = ToolSpec(name, f"{name.capitalize()} it.", TO, approval=approval, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        DONE.calls.append((self.spec.name, arguments))
        return text_result(f"done for {arguments['to']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


send, pay = Send("send"), Send("pay", approval=True)
