"""A model's wishes become commands, and their answers become tool turns, in the order of the calls."""

from typing import Any

import msgspec

from agenthost.core.commands import Ask, CallTool, Command, StartChild
from agenthost.core.definitions import PinnedTool
from agenthost.core.errors import Failure, nearest
from agenthost.core.events import Answer, ChildResult, Reply
from agenthost.core.models import Turn
from agenthost.core.parts import DataPart, TextPart, text_of
from agenthost.core.tools import ToolCall, ToolResult, text_result
from agenthost.programs.agent.state import AgentState, Pending

MAX_DEPTH = 8
"""How deep delegation may go: an agent that delegates to one that delegates, and so on."""

MAX_SAME = 2
"""How often one agent may stand in the line from the root to a task."""

DELEGATE = "delegate_to_"
APPROVE = ("approve", "deny")


def parse_arguments(call: ToolCall) -> dict[str, Any] | str:
    """The call's arguments, or what to tell the model where they can't be read."""
    text = call.arguments.strip() or "{}"
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return f"The arguments of {call.name} are not valid JSON ({error}). Call it again with one JSON object."
    if not isinstance(value, dict):
        return f"The arguments of {call.name} must be one JSON object, not a {type(value).__name__}. Call it again."
    return {str(key): item for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def plan(state: AgentState, calls: tuple[ToolCall, ...], tools: dict[str, PinnedTool]) -> None:
    """Set `state.pending` from the model's calls: for each a command, or a result at once where it is wrong."""
    delegations = sum(1 for call in calls if call.name.startswith(DELEGATE))
    state.pending = []
    for index, call in enumerate(calls):
        pending = Pending(call)
        name = f"m{state.model_calls}-{index}"
        arguments = parse_arguments(call)
        tool = tools.get(call.name)
        if tool is None:
            known = nearest(call.name, sorted(tools))
            pending.result = text_result(f"There is no tool '{call.name}'. {known}", error=True)
        elif isinstance(arguments, str):
            pending.result = text_result(arguments, error=True)
        elif call.name == "finish":
            pending.result = text_result("Noted.")
        elif call.name.startswith(DELEGATE):
            _delegate(state, pending, name, arguments, alone=delegations == 1)
        elif call.name == "ask_person":
            pending.next = _ask_person(name, arguments)
        elif tool.approval:
            pending.next = approval(name, call.name, arguments)
        else:
            pending.next = tool_command(name, call, arguments, tool)
        state.pending.append(pending)


def tool_command(name: str, call: ToolCall, arguments: dict[str, Any], tool: PinnedTool) -> CallTool:
    """The command that calls a tool."""
    return CallTool(name, call.name, arguments, call.id, tool.read_only or tool.idempotent)


def approval(name: str, tool: str, arguments: dict[str, Any]) -> Ask:
    """The question that comes before a call that needs a person's approval: exactly what will be done."""
    shown = msgspec.json.format(msgspec.json.encode(arguments), indent=2).decode()
    return Ask(f"{name}-ok", "approval", f"May the tool '{tool}' be called with these arguments?\n{shown}", APPROVE)


def _ask_person(name: str, arguments: dict[str, Any]) -> Command:
    options = arguments.get("options")
    words = tuple(str(option) for option in options) if isinstance(options, list) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return Ask(name, "input", str(arguments.get("question", "")) or "The agent asks for your input.", words)


def _delegate(state: AgentState, pending: Pending, name: str, arguments: dict[str, Any], alone: bool) -> None:
    agent = pending.call.name[len(DELEGATE) :].replace("_", "-")
    line = (*state.spec.chain, f"agent/{state.spec.name}")
    if len(line) >= MAX_DEPTH:
        pending.result = text_result(
            f"Not delegated: {MAX_DEPTH} agents deep is the limit. Do the work yourself or say what is missing.", True
        )
    elif line.count(f"agent/{agent}") >= MAX_SAME:
        pending.result = text_result(
            f"Not delegated: '{agent}' already stands {MAX_SAME} times in this line of work, which would go round "
            "in circles. Do the work yourself or say what is missing.",
            True,
        )
    else:
        prompt = TextPart(str(arguments.get("task", "")))
        pending.next = StartChild(name, "agent", agent, (prompt,), workspace="shared" if alone else "copy")


def take(
    state: AgentState, command: Command, answer: Answer | None, failure: Failure | None, tools: dict[str, PinnedTool]
) -> None:
    """Take the answer of a command that a call led to."""
    pending = _pending_of(state, command.id)
    if pending is None:
        return
    if failure is not None:
        pending.result = text_result(f"{failure.message} [{failure.code}]", error=True)
    elif isinstance(command, Ask) and command.kind == "approval" and isinstance(answer, Reply):
        if answer.text.strip().lower() in ("approve", "yes", "y", "ok"):
            arguments = parse_arguments(pending.call)
            assert isinstance(arguments, dict)
            pending.next = tool_command(
                command.id.removesuffix("-ok"), pending.call, arguments, tools[pending.call.name]
            )
        else:
            pending.result = text_result(f"A person did not allow this call. They said: {answer.text}", error=True)
    else:
        pending.result = _as_result(answer)
    if pending.result is not None:
        state.tool_calls += 1
        state.written.update(pending.result.changes)


def _pending_of(state: AgentState, command: str) -> Pending | None:
    stem = command.removesuffix("-ok").partition("~")[0]
    prefix, _, index = stem.rpartition("-")
    if prefix != f"m{state.model_calls}" or not index.isdigit() or int(index) >= len(state.pending):
        return None
    return state.pending[int(index)]


def _as_result(answer: Answer | None) -> ToolResult:
    if isinstance(answer, ToolResult):
        return answer
    if isinstance(answer, Reply):
        return text_result(answer.text)
    if isinstance(answer, ChildResult):
        return _child_result(answer)
    return text_result("done")


def _child_result(child: ChildResult) -> ToolResult:
    parts = child.parts
    if child.verdict.outcome != "done":
        told = f"It ended without being done ({child.verdict.outcome}): {child.verdict.reason}"
        parts = (TextPart(told), *parts)
    if child.conflicts:
        told = "These files were changed by others too and were left as they were: " + ", ".join(child.conflicts)
        parts = (TextPart(told), *parts)
    if not parts:
        parts = (TextPart("It is done; nothing more was said."),)
    return ToolResult(parts, child.verdict.outcome != "done" or bool(child.conflicts), child.changes)


def result_turns(state: AgentState) -> list[Turn]:
    """The tool turns of all pending calls, in call order, once each has its result."""
    turns: list[Turn] = []
    for pending in state.pending:
        result = pending.result
        assert result is not None
        parts = result.parts if text_of(result.parts) or not _only_data(result) else _data_as_text(result)
        turns.append(Turn("tool", parts, call_id=pending.call.id, name=pending.call.name, error=result.error))
    return turns


def _only_data(result: ToolResult) -> bool:
    return all(isinstance(part, DataPart) for part in result.parts)


def _data_as_text(result: ToolResult) -> tuple[TextPart, ...]:
    texts = (msgspec.json.encode(part.data).decode() for part in result.parts if isinstance(part, DataPart))
    return tuple(TextPart(text) for text in texts)
