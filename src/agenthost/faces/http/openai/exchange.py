"""What was said in a task, out of its journal: for an answer that goes on from it in another task."""

from collections.abc import Sequence

from agenthost.core.commands import Ask, CallModel
from agenthost.core.events import (
    Answered,
    Asked,
    ChildResult,
    Created,
    Finished,
    Received,
    Recorded,
    Reply,
)
from agenthost.core.models import ModelAnswer, Turn
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall, ToolResult
from agenthost.faces.http.openai.given import words
from agenthost.faces.http.openai.ids import call_id
from agenthost.faces.http.openai.reader import question_text, same, text_of


def exchange(events: Sequence[Recorded], task: str) -> list[Turn]:
    """The turns of the root's journal among `events`, its history first. Calls that have no result are left out, but for
    those of the client's tools that are open in the end."""
    own = [recorded.event for recorded in events if recorded.task == task]
    results = {event.command: _result(event) for event in own if isinstance(event, Answered)}
    asks = [event.command for event in own if isinstance(event, Asked) and isinstance(event.command, Ask)]
    opened = {ask.id for ask in asks if ask.kind == "tool"} - results.keys()
    asking: set[str] = set()
    turns: list[Turn] = []
    last = ""
    for event in own:
        if isinstance(event, Created):
            spec = event.spec
            turns += spec.terms.history if spec.terms is not None else ()
            turns += [Turn("user", spec.message.parts)] if spec.message.parts else []
        elif isinstance(event, Asked) and isinstance(event.command, CallModel) and event.command.purpose == "turn":
            asking.add(event.command.id)
        elif isinstance(event, Answered) and event.command in asking and isinstance(event.answer, ModelAnswer):
            turns += _turns(task, event.command, event.answer, results, opened)
            last = event.answer.text
        elif isinstance(event, Asked) and isinstance(event.command, Ask) and event.command.kind != "tool":
            # One that was not answered here was what the client was told.
            open = event.command.id not in results
            turns += [Turn("assistant", words(question_text(event.command)))] if open else []
        elif isinstance(event, Received):
            turns.append(Turn("user", event.message.parts))
        elif isinstance(event, Finished):
            text = text_of(event.parts)
            turns += [Turn("assistant", words(text))] if text and not same(text, event.parts, last) else []
    return turns


def _turns(
    task: str, id: str, answer: ModelAnswer, results: dict[str, tuple[tuple[Part, ...], bool]], opened: set[str]
) -> list[Turn]:
    """An answer of the model with what came of its calls. A call's command has the answer's id and the call's number."""
    calls: list[ToolCall] = []
    came: list[Turn] = []
    for at, call in enumerate(answer.calls):
        command = f"{id}-{at}"
        if command in results:
            parts, error = results[command]
            came.append(Turn("tool", parts, call_id=call_id(task, command), name=call.name, error=error))
        elif command not in opened:
            continue
        calls.append(ToolCall(call_id(task, command), call.name, call.arguments))
    made = Turn("assistant", answer.parts, tuple(calls))
    return [made, *came] if answer.parts or calls else []


def _result(event: Answered) -> tuple[tuple[Part, ...], bool]:
    answer = event.answer
    if isinstance(answer, ToolResult):
        return answer.parts or (TextPart("(no output)"),), answer.error
    if isinstance(answer, ChildResult):
        return answer.parts or (TextPart(answer.verdict.reason or "done"),), answer.verdict.outcome != "done"
    if isinstance(answer, Reply):
        return (TextPart(answer.text),), False
    return (TextPart(event.failure.message if event.failure is not None else ""),), event.failure is not None
