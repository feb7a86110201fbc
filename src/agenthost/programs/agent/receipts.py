"""Receipts of what an agent does, kept as its events come, for whoever judges the work."""

import msgspec

from agenthost.core.commands import CallTool
from agenthost.core.events import ChildResult
from agenthost.core.tools import ToolResult
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.base import Delivery
from agenthost.programs.checking.receipts import receipt


def remember(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """Keep what the host saw, where the rule of completion will ask for it."""
    if not d.proved:
        return
    command, answer, proof = delivery.command, delivery.answer, state.proof
    code = inside = False
    if isinstance(command, CallTool):
        tool = d.toolbox(state.stage).tools.get(command.tool)
        code = tool is not None and tool.sandbox
        inside = tool is not None and tool.workspace and not tool.sandbox
        proof.acts += tool is None or not (tool.read_only or tool.workspace)
    if isinstance(answer, ToolResult | ChildResult):
        lost = set(answer.conflicts) if isinstance(answer, ChildResult) else set[str]()
        line = str(command.arguments.get("command")) if code and isinstance(command, CallTool) else ""
        proof.changed({path: name for path, name in answer.changes.items() if path not in lost}, delivery.seq, line)
    found = receipt(delivery.seq, state.now, command, answer, code, inside) if d.judged else None
    if found is not None and found.kind != "check":
        proof.acts += found.kind in ("person", "client")
        proof.add(found)


def check(state: AgentState, d: Definition, delivery: Delivery, index: int, ok: bool) -> None:
    """Keep the receipt of a check, judged by what it expects."""
    found = receipt(delivery.seq, state.now, delivery.command, delivery.answer, False) if d.judged else None
    if found is not None:
        state.proof.add(msgspec.structs.replace(found, kind="check", ok=ok, check=index, round=state.rounds + 1))
