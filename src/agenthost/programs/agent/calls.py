"""Wishes for tools become commands, and their answers become tool turns, in the order of the calls.

A wish is the model's, or the script's: both go the same way, past the same checks and approvals.
"""

from typing import Any

import msgspec

from agenthost.core.commands import CallModel, CallTool, Command, StartChild
from agenthost.core.errors import nearest
from agenthost.core.events import Answer, ChildResult, Reply
from agenthost.core.models import ModelAnswer, Turn
from agenthost.core.parts import DataPart, Part, TextPart
from agenthost.core.tools import ToolCall, ToolResult, text_result
from agenthost.programs.agent import closing, context, provenance, structured, words
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.gate import gated
from agenthost.programs.agent.state import AgentState, Pending
from agenthost.programs.agent.steps import to_turn
from agenthost.programs.answers import approved, refusal, safe
from agenthost.programs.base import Delivery

MAX_DEPTH = 8
"""How deep delegation may go: an agent that delegates to one that delegates, and so on."""

MAX_SAME = 2
"""How often one agent may stand in the line from the root to a task."""

MAX_CALLS = 64
"""How many calls of one answer are made."""

MAX_WRONG = 5
"""How many turns in a row may consist of nothing but calls that can't be made."""


def named(calls: tuple[ToolCall, ...], turn: int) -> tuple[ToolCall, ...]:
    """The calls, each with an id of its own: some servers give none, or one twice."""
    seen: set[str] = set()
    result: list[ToolCall] = []
    for index, call in enumerate(calls):
        id = call.id if call.id and call.id not in seen else f"call-{turn}-{index}"
        seen.add(id)
        result.append(msgspec.structs.replace(call, id=id))
    return tuple(result)


def plan(state: AgentState, d: Definition, answer: ModelAnswer, calls: tuple[ToolCall, ...]) -> None:
    """Wish for what the model calls; a call that can't be made has its result at once."""
    state.phase = "calls"
    state.pending = [Pending(call, f"m{state.model_calls}-{index}") for index, call in enumerate(calls)]
    alone = _alone(state, d, calls)
    for index, pending in enumerate(state.pending):
        arguments = structured.read_arguments(pending.call.name, pending.call.arguments, answer.stop == "length")
        if index >= MAX_CALLS:
            pending.result = _wrong(f"Not called: {MAX_CALLS} calls in one answer are the most. Call it again.")
        elif isinstance(arguments, str):
            pending.result = _wrong(arguments)
        else:
            wish(state, d, pending, arguments, alone)
    if any(pending.result is None or not pending.result.error for pending in state.pending):
        state.wrong = 0
        next_turn(state, d)
        return
    state.wrong += 1
    if state.wrong >= MAX_WRONG:
        last = state.pending[-1].result
        reason = f"{MAX_WRONG} turns in a row had nothing but tool calls that can't be made; the last: {last.text if last else ''}"
        state.end("blocked", reason, "bad-calls", parts=(TextPart(state.last_text),) if state.last_text else ())
    else:
        next_turn(state, d)


def wish(state: AgentState, d: Definition, pending: Pending, arguments: dict[str, Any], alone: bool) -> None:
    """Wish for one call: want its command, or the question before it, or give its result at once."""
    box = d.toolbox(state.stage)
    name = pending.call.name
    tool = box.tools.get(name)
    if tool is None:
        pending.result = _wrong(f"There is no tool '{name}'. {nearest(name, sorted(box.tools))}")
        return
    problem = d.argument_problem(state.stage, name, arguments)
    finishes = tool is box.finish
    if problem is None and finishes:
        problem = closing.finish_problem(d, arguments)
    if problem is not None:
        pending.result = _wrong(f"The arguments of {name} don't fit: {problem}. Call it again.")
    elif finishes:
        pending.result = text_result(words.NOTED)
    elif name in box.agents:
        _delegate(state, pending, box.agents[name], str(arguments["task"]), alone)
    elif name in box.client:
        pending.command = words.client_call(pending.id, pending.call, arguments)
    elif tool is words.ASK_PERSON:
        options = tuple(str(option) for option in arguments.get("options", ()))
        pending.command = words.question(
            pending.id, arguments["question"], options, d.spec.questions, state.spec.asking
        )
    else:
        pending.command = CallTool(pending.id, name, arguments, pending.call.id, safe(tool, d.spec.sandbox))
    if pending.command is not None:
        _past(state, d, pending, provenance.guarded(state, d, pending, arguments))


def _past(state: AgentState, d: Definition, pending: Pending, guard: Command | str | None) -> None:
    """Want what comes before a call, the question that its tool needs, or the call."""
    command = pending.command
    assert command is not None
    pending.reading = isinstance(guard, CallModel)
    if isinstance(guard, str):
        pending.result = _wrong(guard)
    elif guard is not None:
        # Calls of one answer are held up by one reading.
        if guard.id not in {wanted.id for wanted in state.wanted}:
            state.want(guard)
    else:
        state.want(gated(state, d, pending))


def understood(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """The person's words were read: the calls that waited for it go on, or are asked for."""
    provenance.understood(state, d, delivery.answer)
    for pending in state.pending:
        if pending.reading and isinstance(pending.command, CallTool):
            _past(state, d, pending, provenance.guarded(state, d, pending, pending.command.arguments, read=True))
    next_turn(state, d)


def _alone(state: AgentState, d: Definition, calls: tuple[ToolCall, ...]) -> bool:
    """Whether a delegation may work in the task's own files: nothing else of this turn writes there meanwhile."""
    box = d.toolbox(state.stage)
    tools = [box.tools[call.name] for call in calls if call.name in box.tools]
    return sum(1 for tool in tools if tool.name in box.agents or (tool.workspace and not tool.read_only)) <= 1


def _delegate(state: AgentState, pending: Pending, agent: str, task: str, alone: bool) -> None:
    line = (*state.spec.chain, f"agent/{state.spec.name}")
    mend = "Do the work yourself or say what is missing."
    if len(line) >= MAX_DEPTH:
        pending.result = _wrong(f"Not delegated: {MAX_DEPTH} levels deep is the limit. {mend}")
    elif line.count(f"agent/{agent}") >= MAX_SAME:
        why = f"'{agent}' already stands {MAX_SAME} times in this line of work, which would go round in circles"
        pending.result = _wrong(f"Not delegated: {why}. {mend}")
    else:
        place = "shared" if alone else "copy"
        pending.command = StartChild(
            pending.id, "agent", agent, (TextPart(task),), workspace=place, trust=provenance.given(state)
        )


def take(state: AgentState, d: Definition, delivery: Delivery) -> Pending | None:
    """Take the answer of a command that a wish led to; the wish, once it has its result."""
    pending = next((p for p in state.pending if delivery.id in (p.id, f"{p.id}-ok") and p.result is None), None)
    if pending is None:
        return None
    command, failure = pending.command, delivery.failure
    if failure is not None:
        pending.result = _wrong(f"{failure.message} [{failure.code}]")
    elif delivery.id != pending.id and command is not None:
        if approved(delivery.answer):
            state.want(command)
            return None
        told = refusal(delivery.answer, "this call")
        pending.result = _wrong(f"{told[:1].upper()}{told[1:]}")
    else:
        pending.result = _result(delivery.answer, pending.command)
    if delivery.id == pending.id:
        provenance.taken(state, d, pending, delivery.answer)
    state.tool_calls += 1
    state.wrote(pending.result.changes)
    return pending


def next_turn(state: AgentState, d: Definition) -> None:
    """Once every call has its result, the model sees them, unless it has called `finish`."""
    if any(pending.result is None for pending in state.pending):
        return
    finish = _finish(state, d)
    if finish is not None and state.waiting:
        finish.result = _wrong(words.NOT_FINISHED)
        finish = None
    for pending in state.pending:
        assert pending.result is not None
        parts = shown_parts(pending.result, d)
        call, error = pending.call, pending.result.error
        turn = Turn("tool", parts, call_id=call.id, name=call.name, error=error, origin=pending.origin)
        context.add(state, turn, d.model)
    state.pending = []
    if finish is None:
        to_turn(state, d)
        return
    arguments = structured.read_arguments(finish.call.name, finish.call.arguments)
    assert isinstance(arguments, dict)
    closing.finish_called(state, d, arguments)


def _finish(state: AgentState, d: Definition) -> Pending | None:
    """The call of `finish` that was taken, if any."""
    if d.toolbox(state.stage).finish is None:
        return None
    for pending in state.pending:
        if pending.call.name == words.FINISH_NAME and pending.result is not None and not pending.result.error:
            return pending
    return None


def shown_parts(result: ToolResult, d: Definition) -> tuple[Part, ...]:
    """A result as the model is shown it: data as JSON text, pictures only where it can see them."""
    parts: list[Part] = []
    for part in result.parts:
        if isinstance(part, DataPart):
            parts.append(TextPart(msgspec.json.encode(part.data).decode()))
        elif context.is_picture(part) and not d.model.images:
            parts.append(TextPart("[a picture, which this model can't be shown]"))
        else:
            parts.append(part)
    return tuple(parts) or (TextPart("(no output)"),)


def _result(answer: Answer | None, command: Command | None) -> ToolResult:
    if isinstance(answer, ToolResult):
        return answer
    if isinstance(answer, Reply):
        return text_result(words.replied(answer, command), error=answer.by == words.HOST)
    if isinstance(answer, ChildResult):
        return _child_result(answer)
    return text_result("It was answered with something that can't be used.", error=True)


def _child_result(child: ChildResult) -> ToolResult:
    told: list[Part] = []
    if child.verdict.outcome != "done":
        told.append(TextPart(f"It ended without being done ({child.verdict.outcome}): {child.verdict.reason}"))
    if child.conflicts:
        paths = ", ".join(child.conflicts)
        told.append(TextPart(f"These files were changed by others too and were left as they were: {paths}"))
    parts = (*told, *child.parts) or (TextPart(words.NOTHING_SAID),)
    conflicted = set(child.conflicts)
    changes = {path: digest for path, digest in child.changes.items() if path not in conflicted}
    return ToolResult(parts, bool(told), changes)


def _wrong(text: str) -> ToolResult:
    return text_result(text, error=True)
