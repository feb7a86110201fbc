"""What an agent's program keeps of its journal for whoever judges the work: receipts, and what changed when."""

import msgspec

from agenthost.core.commands import CallTool
from agenthost.core.events import ChildResult
from agenthost.core.ids import digest
from agenthost.core.tools import ToolResult
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.base import Delivery
from agenthost.programs.checking import receipts

_CACHES = frozenset(("__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"))


def remember(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """Keep what the host saw, where the rule of completion will ask for it."""
    if not d.proved:
        return
    command, answer, proof = delivery.command, delivery.answer, state.proof
    code = False
    if isinstance(command, CallTool):
        tool = d.toolbox(state.stage).tools.get(command.tool)
        code = tool is not None and tool.sandbox
        proof.acts += tool is None or not (tool.read_only or tool.workspace)
    if isinstance(answer, ToolResult | ChildResult):
        line = str(command.arguments.get("command")) if code and isinstance(command, CallTool) else ""
        _changed(state, answer, delivery.seq, line)
    if not d.judged:
        return
    found = receipts.receipt(delivery.seq, state.now, command, answer, code)
    if found is not None and found.kind != "check":
        proof.acts += found.kind in ("person", "client")
        add(state, found)


def add(state: AgentState, found: receipts.Receipt) -> None:
    """Keep a receipt."""
    state.proof.receipts = receipts.kept([*state.proof.receipts, found])


def check(state: AgentState, d: Definition, delivery: Delivery, index: int, ok: bool) -> None:
    """Keep the receipt of a check, judged by what it expects."""
    if not d.judged:
        return
    found = receipts.receipt(delivery.seq, state.now, delivery.command, delivery.answer, False)
    if found is not None:
        add(state, msgspec.structs.replace(found, kind="check", ok=ok, check=index, round=state.rounds + 1))


def _changed(state: AgentState, answer: ToolResult | ChildResult, seq: int, line: str) -> None:
    """Note which files are other than they were. What a command makes anew, or makes again in the same words, changes
    nothing that was shown before; what it does to other files does."""
    proof = state.proof
    lost = set(answer.conflicts) if isinstance(answer, ChildResult) else set[str]()
    maker = digest(line.encode(errors="replace")) if line else ""
    for path, name in answer.changes.items():
        if path in lost:
            continue
        known = path in proof.baseline or path in proof.touched
        if not line:
            proof.sources[path] = seq
            proof.makers.pop(path, None)
            proof.written[path] = name
        elif _cache(path) or not known or proof.makers.get(path) == maker:
            proof.makers[path] = maker
        else:
            proof.sources[path] = seq
            proof.makers.pop(path, None)
        proof.touched[path] = seq


def _cache(path: str) -> bool:
    return path.endswith(".pyc") or not _CACHES.isdisjoint(path.split("/"))
