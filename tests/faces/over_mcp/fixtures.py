"""A trusted tool that a person has to agree to."""

from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result


class Pay:
    spec = ToolSpec(
        "pay",
        "Pays.",
        {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
        approval=True,
        trusted=True,
    )

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        return text_result(f"paid {arguments['amount']}")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


def payments() -> list[Pay]:
    return [Pay()]
