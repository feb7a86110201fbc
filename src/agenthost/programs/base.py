"""What every program's state has: what was asked and is open, what is in doubt, what was said.

The crash rule's second half stands here: a command that may have happened and can't be repeated
is put to a person, and what the person says becomes the command's answer, or a new try at it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.commands import (
    Ask,
    CallModel,
    CallTool,
    Command,
    Finish,
    Inspect,
    RunCommand,
    StartChild,
    Verdict,
)
from agenthost.core.errors import Failure
from agenthost.core.events import (
    Answer,
    Answered,
    Asked,
    Begun,
    CancelAsked,
    ChildResult,
    Claimed,
    Created,
    Doubted,
    Finished,
    Paused,
    Recorded,
    Reply,
    Resumed,
    Retried,
    RunResult,
    Started,
)
from agenthost.core.questions import DECISIONS, DENY, Asking
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult, text_result
from agenthost.programs.answers import approved

DOUBT_OPTIONS = ("it happened", "run it again", "give up")


class Refused(Struct):
    """A call that a budget has no room for, while a person is asked whether that may be raised; `id` as the program gave it."""

    id: str
    command: CallModel
    failure: Failure


class Open(Struct):
    """A command without answer yet: where in the journal and when it was asked, its attempt (from 1), and what that
    has begun elsewhere. `rested`: for how many seconds the task has rested since."""

    command: Command
    seq: int
    at: float = 0.0
    attempt: int = 1
    started: bool = False
    doubted: bool = False
    begun: Begun | None = None
    rested: float = 0.0


class BaseState(Struct, kw_only=True):
    """The part of a state that the engine and every program share.

    `changed` is what the task did to its files so far, path to content digest, None where removed. `paused`: since when the task
    rests, in seconds since the epoch. `longer`: for how many seconds more than its budget says it may go on, `late`: whether a
    person is being asked about that (`programs.deadline`).
    """

    spec: TaskSpec
    created_at: float = 0.0
    now: float = 0.0
    seq: int = 0
    epoch: int = 0
    open: dict[str, Open] = msgspec.field(default_factory=dict[str, Open])
    again: dict[str, Command] = msgspec.field(default_factory=dict[str, Command])
    again_of: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    refused: dict[str, Refused] = msgspec.field(default_factory=dict[str, Refused])
    cancel: CancelAsked | None = None
    paused: float | None = None
    longer: float = 0.0
    late: bool = False
    finished: Finished | None = None
    changed: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])


class Delivery(Struct, frozen=True):
    """A command with its answer or its failure, as the program that asked for it takes it.

    `id` is the one that the program gave, also where a person had it done again under a new one.
    """

    id: str
    command: Command
    answer: Answer | None
    failure: Failure | None
    seq: int


def awaits(state: BaseState, id: str) -> bool:
    """Whether the command that the program called `id` is asked and not answered yet."""
    return id in state.open or id in state.again_of.values() or any(id == each.id for each in state.refused.values())


def doubt_id(command: str) -> str:
    """The id of the question about a command in doubt."""
    return f"{command}-doubt"


def describe(command: Command) -> str:
    """A command in a few words, for people."""
    if isinstance(command, CallTool):
        return f"the tool '{command.tool}'"
    if isinstance(command, RunCommand):
        return f"the command `{command.command}`"
    if isinstance(command, CallModel):
        return f"a call of the model '{command.model}'"
    if isinstance(command, Inspect):
        return "the host's look"
    if isinstance(command, StartChild):
        return f"the {command.kind} '{command.name}'"
    return f"the command {command.id}"


_PROGRESS = (Started, Retried, Begun, Doubted)
_CHANGING = (RunResult, ToolResult, ChildResult)


def track(state: BaseState, recorded: Recorded) -> Delivery | None:
    """Bring the shared part of `state` up to an event; the answer it delivers to the program, if any."""
    event = recorded.event
    state.seq = recorded.seq
    state.now = recorded.at
    if isinstance(event, Answered):
        return _answered(state, recorded.seq, event)
    if isinstance(event, Asked):
        state.open[event.command.id] = Open(event.command, recorded.seq, recorded.at)
        state.again.pop(event.command.id, None)
    elif isinstance(event, _PROGRESS):
        _progress(state, event)
    elif isinstance(event, Claimed):
        state.epoch = event.epoch
        _goes_on(state)
    elif isinstance(event, Resumed):
        _goes_on(state)
    elif isinstance(event, Paused):
        state.paused = recorded.at
    elif isinstance(event, CancelAsked):
        state.cancel = event
    elif isinstance(event, Finished):
        state.finished = event
        state.open.clear()
    elif isinstance(event, Created):
        state.created_at = recorded.at
    return None


def _goes_on(state: BaseState) -> None:
    """The time for which the task rested counts for nothing that it waits for."""
    if state.paused is not None:
        for entry in state.open.values():
            entry.rested += max(0.0, state.now - state.paused)
        state.paused = None


def _progress(state: BaseState, event: Started | Retried | Begun | Doubted) -> None:
    entry = state.open.get(event.command)
    if entry is None:
        return
    if isinstance(event, Retried):
        # The same attempt once more is another look for the answer that it has begun.
        entry.begun = entry.begun if entry.attempt == event.attempt else None
        entry.attempt = event.attempt
    elif isinstance(event, Begun):
        entry.attempt, entry.begun = event.attempt, event
    elif isinstance(event, Started):
        entry.started = True
    else:
        entry.doubted = True


def _answered(state: BaseState, seq: int, event: Answered) -> Delivery | None:
    entry = state.open.pop(event.command, None)
    if entry is None:
        return None
    command = entry.command
    if isinstance(event.answer, _CHANGING):
        state.changed.update(event.answer.changes)
    if isinstance(command, Ask) and command.kind == "doubt":
        return _doubt_settled(state, seq, command, event)
    if isinstance(command, Ask) and command.about in state.refused:
        return _budget_settled(state, seq, command, event)
    original = state.again_of.pop(command.id, command.id)
    if isinstance(command, CallModel) and event.failure is not None and event.failure.details.get("reached") == "ask":
        state.refused[command.id] = Refused(original, command, event.failure)
        return None
    return Delivery(original, command, event.answer, event.failure, seq)


def _doubt_settled(state: BaseState, seq: int, ask: Ask, event: Answered) -> Delivery | None:
    entry = state.open.pop(ask.about, None)
    if entry is None:
        return None
    command = entry.command
    text = event.answer.text.strip().lower() if isinstance(event.answer, Reply) else ""
    original = state.again_of.pop(command.id, command.id)
    if text == "run it again":
        _once_more(state, command, original)
        return None
    if text == "it happened":
        told = text_result(
            "The host stopped while this was going on. A person confirmed that it happened; its output is lost."
        )
        return Delivery(original, command, told, None, seq)
    failure = Failure("in-doubt", "The host stopped while this was going on, and a person decided not to run it again.")
    return Delivery(original, command, None, failure, seq)


def _once_more(state: BaseState, command: Command, original: str) -> None:
    base, _, count = command.id.partition("~")
    renamed = msgspec.structs.replace(command, id=f"{base}~{int(count or 1) + 1}")
    state.again[renamed.id] = renamed
    state.again_of[renamed.id] = original


def _budget_settled(state: BaseState, seq: int, ask: Ask, event: Answered) -> Delivery | None:
    refused = state.refused.pop(ask.about)
    if approved(event.answer):
        _once_more(state, refused.command, refused.id)
        return None
    return Delivery(refused.id, refused.command, None, refused.failure, seq)


def budget_question(refused: Refused, asking: Asking) -> Ask:
    """The question whether a budget may be raised; `arguments`: which account, and to what."""
    details = refused.failure.details
    told = f"{refused.failure.message}\nMay it be raised to {details['to']}? Otherwise the task ends."
    return raising(refused.command.id, told, {"budget": details["scope"], "limits": details["limits"]}, asking)


def raising(about: str, question: str, arguments: dict[str, Any], asking: Asking) -> Ask:
    """A question whether a budget may be raised, asked as an approval is: by whom, and for how long."""
    return Ask(
        f"{about}-budget",
        "approval",
        question,
        DECISIONS,
        default=DENY if asking.approvals else "",
        expires=asking.approvals or None,
        about=about,
        by=asking.by,
        arguments=arguments,
    )


def shared_commands(state: BaseState) -> Iterator[Command | Finish]:
    """What every program asks for first: its end where it was cancelled, questions about doubts,
    and what a person wants done again. After a Finish nothing else is to be asked."""
    if state.cancel is not None:
        reason = state.cancel.reason or f"cancelled by {state.cancel.by}"
        yield Finish(Verdict("canceled", reason))
        return
    for entry in state.open.values():
        if entry.doubted and doubt_id(entry.command.id) not in state.open:
            yield Ask(
                id=doubt_id(entry.command.id),
                kind="doubt",
                question=(
                    f"The host stopped while {describe(entry.command)} was going on. It can't be known whether it "
                    "happened, and doing it twice may do harm. What is right?"
                ),
                options=DOUBT_OPTIONS,
                default=DOUBT_OPTIONS[-1] if state.spec.asking.questions else "",
                expires=state.spec.asking.questions or None,
                about=entry.command.id,
                by=state.spec.asking.by,
            )
    for refused in state.refused.values():
        if f"{refused.command.id}-budget" not in state.open:
            yield budget_question(refused, state.spec.asking)
    yield from state.again.values()
