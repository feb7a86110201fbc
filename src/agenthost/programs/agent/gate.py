"""What stands between a wish and its performance: whether a person is asked first, and why."""

from typing import Any

from agenthost.core.commands import Command
from agenthost.core.definitions import PinnedTool
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState, Pending
from agenthost.programs.answers import Why, approval


def gated(state: AgentState, d: Definition, tool: PinnedTool, pending: Pending, arguments: dict[str, Any]) -> Command:
    """The command of a wish, or the approval that must come before it."""
    assert pending.command is not None
    why = reason(state, d, tool, pending, arguments)
    if why is None:
        return pending.command
    return approval(pending.id, tool.name, arguments, d.spec.approvals, state.spec.asking, why)


def reason(
    state: AgentState, d: Definition, tool: PinnedTool, pending: Pending, arguments: dict[str, Any]
) -> Why | None:
    """Why a person is asked before a call, None where nobody is."""
    return Why() if tool.approval else None
