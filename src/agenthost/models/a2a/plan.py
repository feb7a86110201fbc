"""What is to be said to the remote agent next, from the exchange alone. Pure.

The exchange is the journal's: what the remote agent said stands in it as turns with a `state` of ours (`Mark`), so that
after a crash the same plan is made again.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.models import ModelRequest, Turn
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall

ASK = "ask_person"
KEEP = "keep_files"
AGAIN = "run it again"
GIVE_UP = "give up"

Phase = Literal["waiting", "kept", "done", "doubt"]


class Mark(Struct, frozen=True, omit_defaults=True):
    """What an answer of a remote agent was: `waiting` (it asks, by the message `question`), `kept` (its files are being
    kept, its words stand beside), `done`, `doubt` (nobody knows whether it has the message). `task`: the remote one."""

    phase: Phase
    task: str = ""
    question: str = ""


class Handle(Struct, frozen=True, omit_defaults=True):
    """What was begun: the remote `task`, and which `question` of it was answered; or, without one, a `message` it answered
    with at once; or nothing at all, as there was nothing to be said (`said`), or it can't be known whether it was said
    (`doubt`)."""

    task: str = ""
    question: str = ""
    message: tuple[Part, ...] | None = None
    said: bool = False
    doubt: bool = False

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


def read_handle(text: str) -> Handle:
    """A handle as it stands in the journal."""
    return msgspec.json.decode(text, type=Handle)


class Plan(Struct, frozen=True):
    """The next message: its id (the same for every try at it), its context, the remote task that it is for, what it
    says. `question`: of the task's, the one that it answers. `earlier`: a task that it follows on."""

    id: str
    context: str
    task: str = ""
    parts: tuple[Part, ...] = ()
    question: str = ""
    earlier: str = ""


def mark_of(state: str) -> Mark | None:
    """What a turn's state says; None where it is nobody's of ours."""
    try:
        return msgspec.json.decode(state, type=Mark) if state else None
    except msgspec.DecodeError:
        return None


def attempt_of(request: ModelRequest) -> tuple[str, int]:
    """The key of the command that a request is for, and the number of the try."""
    key, _, attempt = request.key.rpartition("/")
    return key, int(attempt)


def task_of(request: ModelRequest) -> str:
    """Our task that the request is of: the conversation's name at the remote agent."""
    return request.metadata.get("task", "") or attempt_of(request)[0].rpartition("/")[0]


def next_plan(request: ModelRequest) -> Plan | None:
    """What is to be said; None where everything has been said and the answer stands already."""
    key, _ = attempt_of(request)
    last = max((at for at, turn in enumerate(request.turns) if turn.role == "assistant"), default=-1)
    mark = mark_of(request.turns[last].state) if last >= 0 else None
    after = request.turns[last + 1 :]
    said = [part for turn in after if turn.role == "user" for part in turn.parts]
    replies = [part for turn in after if turn.role == "tool" and turn.name == ASK for part in turn.parts]
    if mark is None or mark.phase == "doubt":
        # Nothing that was said has surely arrived: all of it is said (again).
        every = [part for turn in request.turns if turn.role == "user" for part in turn.parts]
        opening = (TextPart(request.instructions),) if request.instructions else ()
        return Plan(key, task_of(request), parts=(*opening, *every))
    if mark.phase == "waiting":
        return Plan(key, task_of(request), mark.task, (*replies, *said), mark.question)
    if not said:
        return None
    return Plan(key, task_of(request), parts=tuple(said), earlier=mark.task)


def gave_up(request: ModelRequest) -> bool:
    """Whether a person, asked whether it is to be said again, would rather not."""
    last = request.turns[-1]
    before = next((turn for turn in reversed(request.turns) if turn.role == "assistant"), None)
    mark = mark_of(before.state) if before is not None else None
    return mark is not None and mark.phase == "doubt" and (last.role != "tool" or last.text.strip().lower() != AGAIN)


def last_said(turns: tuple[Turn, ...]) -> tuple[Turn | None, tuple[Turn, ...]]:
    """The last answer, and what came after it."""
    for at in range(len(turns) - 1, -1, -1):
        if turns[at].role == "assistant":
            return turns[at], turns[at + 1 :]
    return None, turns


def call(id: str, name: str, arguments: dict[str, Any]) -> ToolCall:
    """A call as a model writes it."""
    return ToolCall(id, name, msgspec.json.encode(arguments).decode())
