"""What stands between a wish and its performance: whether a person is asked first."""

from agenthost.core.commands import CallTool, Command, StartChild
from agenthost.core.parts import text_of
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState, Pending
from agenthost.programs.answers import approval


def gated(state: AgentState, d: Definition, pending: Pending) -> Command:
    """The command of a wish, or the approval that must come before it."""
    command = pending.command
    assert command is not None
    tool = d.toolbox(state.stage).tools[pending.call.name]
    if not tool.approval or not isinstance(command, CallTool | StartChild):
        return command
    arguments = command.arguments if isinstance(command, CallTool) else {"task": text_of(command.parts)}
    return approval(pending.id, tool.name, arguments, d.spec.approvals, state.spec.asking)
