"""Tools of the host in these tests: one that needs an approval, one that doesn't."""

from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result

AMOUNT = {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}


class Pay:
    spec = ToolSpec("pay", "Pays somebody.", AMOUNT, approval=True, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        return text_result(f"paid {arguments['amount']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Look:
    spec = ToolSpec("look", "Looks at the account.", {"type": "object", "properties": {}}, read_only=True, trusted=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        return text_result("it has 100")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


PAY, LOOK = Pay(), Look()
