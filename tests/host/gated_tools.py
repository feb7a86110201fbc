"""Tools of the host in these tests whose effects are counted: `pay` always needs an approval, `note` where a manifest says so."""

from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result

PARAMETERS = {"type": "object", "properties": {"to": {"type": "string"}, "text": {"type": "string"}}}
DONE: list[dict[str, Any]] = []


class Effect:
    """Not safe to repeat."""

    def __init__(self, name: str, approval: bool) -> None:
        self.spec = ToolSpec(name, "Has an effect.", PARAMETERS, approval=approval)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        DONE.append({"tool": self.spec.name} | arguments)
        return text_result(f"done: {self.spec.name}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


PAY, NOTE = Effect("pay", True), Effect("note", False)
