"""A trial beside what it was recorded from, turn by turn."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agenthost.core.budgets import Spend
from agenthost.core.commands import Ask, CallModel, CallTool, Command, RunCommand, StartChild
from agenthost.core.events import Answered, Asked, ChildResult, Finished, Recorded, Reply, RunResult
from agenthost.core.models import ModelAnswer
from agenthost.core.parts import DataPart, FilePart, Part, TextPart
from agenthost.core.ports import LedgerEntry
from agenthost.core.replaying import CallSeen, Contrast, Ended, Pair, Turned
from agenthost.core.tools import ToolResult
from agenthost.host.replaying.recording import Recording
from agenthost.host.replaying.trying import NOT_RECORDED as CODE

NOT_RECORDED = "not recorded"


def contrast(then: Recording, now: Recording, model: str) -> Contrast:
    """What differs between two recordings of the same work, task by task and turn by turn."""
    pairs: list[Pair] = []
    names = sorted({_below(then, id) for id in then.journals} | {_below(now, id) for id in now.journals})
    for name in names:
        one, other = turns(then, then.task + name, False), turns(now, now.task + name, True)
        for at in range(max(len(one), len(other))):
            before, after = one[at] if at < len(one) else None, other[at] if at < len(other) else None
            if before is not None or after is not None:
                pairs.append(Pair(name.lstrip("."), at, before, after, tuple(_differs(before, after))))
    return Contrast(model, _ended(then), _ended(now), tuple(pairs))


def _below(recording: Recording, task: str) -> str:
    return task.removeprefix(recording.task)


def turns(recording: Recording, task: str, trial: bool) -> list[Turned | None]:
    """The turns of a task, the first (number 0) being what it did without a model: a workflow's steps, a check."""
    events = recording.journals.get(task, ())
    answers = {each.event.command: each.event for each in events if isinstance(each.event, Answered)}
    commands = [each.event.command for each in events if isinstance(each.event, Asked)]
    ledger = [entry for entry in recording.ledger if entry.task == task]
    found: list[Turned | None] = []
    seen: set[str] = set()
    for command in commands:
        if isinstance(command, CallModel) and command.purpose == "turn" and command.id in answers:
            turn, used = _turn(command, answers, commands, trial)
            seen |= used
            found.append(msgspec.structs.replace(turn, spent=_spent(ledger, command.id)))
    rest = [
        _call(command, answers.get(command.id), trial)
        for command in commands
        if command.id not in seen and isinstance(command, CallTool | RunCommand | StartChild | Ask)
    ]
    return [Turned(calls=tuple(rest)) if rest else None, *found]


def _turn(
    command: CallModel, answers: dict[str, Answered], commands: Sequence[Command], trial: bool
) -> tuple[Turned, set[str]]:
    """One turn, and the commands that it led to."""
    answered = answers[command.id]
    answer = answered.answer
    if not isinstance(answer, ModelAnswer):
        return Turned(failure=answered.failure.message if answered.failure else "", model=command.model), set()
    calls: list[CallSeen] = []
    used: set[str] = set()
    for at, wish in enumerate(answer.calls):
        # The agent names the commands of a call after the turn and the call's place in it.
        base = f"{command.id}-{at}"
        made = [each for each in commands if each.id.partition("~")[0] in (base, f"{base}-ok")]
        used |= {each.id for each in made}
        seen = [_call(each, answers.get(each.id), trial) for each in made]
        last = seen[-1] if seen else CallSeen(wish.name)
        state = next((each.state for each in seen if each.state == NOT_RECORDED), last.state)
        calls.append(msgspec.structs.replace(last, name=wish.name, arguments=_read(wish.arguments), state=state))
    return Turned(answer.text, tuple(calls), model=answer.model or command.model), used


def _call(command: Command, answered: Answered | None, trial: bool) -> CallSeen:
    name, arguments = _asked(command)
    if answered is None:
        return CallSeen(name, arguments, "(no answer)", True, NOT_RECORDED if trial else "")
    failure = answered.failure
    state = NOT_RECORDED if failure is not None and failure.code == CODE else "recorded"
    text, error = (failure.message, True) if failure is not None else _result(answered.answer)
    lives = isinstance(command, StartChild)
    return CallSeen(name, arguments, text, error, state if trial and not lives else "")


def _asked(command: Command) -> tuple[str, Any]:
    match command:
        case CallTool():
            return command.tool, command.arguments
        case RunCommand():
            return "run", {"command": command.command}
        case StartChild():
            return command.name, {"task": words(command.parts)} | command.inputs
        case Ask():
            return command.tool or f"ask ({command.kind})", command.arguments or {"question": command.question}
        case _:
            return command.id, None


def _result(answer: Any) -> tuple[str, bool]:
    match answer:
        case ToolResult():
            return words(answer.parts), answer.error
        case RunResult():
            return f"exit code {answer.exit_code}\n{answer.stdout}{answer.stderr}".strip(), answer.exit_code != 0
        case ChildResult():
            return words(answer.parts), answer.verdict.outcome != "done"
        case Reply():
            return answer.text, False
        case _:
            return "", False


def words(parts: Iterable[Part]) -> str:
    """Parts as text."""
    told: list[str] = []
    for part in parts:
        match part:
            case TextPart():
                told.append(part.text)
            case DataPart():
                told.append(msgspec.json.encode(part.data, order="sorted").decode())
            case FilePart():
                told.append(f"[{part.media_type} {part.name or part.digest}]")
    return "\n".join(told)


def _read(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments


def _spent(ledger: Iterable[LedgerEntry], command: str = "") -> Spend:
    total = Spend()
    for entry in ledger:
        if not command or entry.command == command:
            total += entry.spent if entry.settled and entry.spent is not None else entry.worst
    return total


def _differs(then: Turned | None, now: Turned | None) -> Iterable[str]:
    if then is None or now is None:
        yield "missing"
        return
    if then.text.strip() != now.text.strip() or then.failure != now.failure:
        yield "text"
    if [call.name for call in then.calls] != [call.name for call in now.calls]:
        yield "calls"
    elif [call.arguments for call in then.calls] != [call.arguments for call in now.calls]:
        yield "arguments"
    elif [(call.result, call.error) for call in then.calls] != [(call.result, call.error) for call in now.calls]:
        yield "results"


def _ended(recording: Recording) -> Ended:
    row = recording.row
    output = ""
    last: Recorded | None = recording.journals[recording.task][-1] if recording.journals[recording.task] else None
    if last is not None and isinstance(last.event, Finished):
        output = words(last.event.parts)
    return Ended(row.id, row.state, row.outcome, row.reason, output, _spent(recording.ledger))
