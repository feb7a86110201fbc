"""What has happened: the facts of a task's journal.

An event's kind is its `type` tag. Every kind has a version; old versions are upcast when they
are read (`UPCASTS`), a kind or version that this host does not know stops its task and not the
host. Kinds and fields are only ever added to.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.checks import Seen
from agenthost.core.commands import Command, Verdict
from agenthost.core.errors import Failure, NewerVersion
from agenthost.core.models import ModelAnswer
from agenthost.core.parts import Message, Part
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult


class RunResult(Struct, frozen=True, tag="run-result", omit_defaults=True):
    """What came of a command in the sandbox. `duration` in seconds.

    `exit_code` is the shell's (128 + signal where one ended it). `cut` counts the bytes of output
    that were dropped. `limit` names the limit that ended it: `time`, `memory`, `output`, `disk`.
    `dropped` are links and devices that it made, which a workspace doesn't keep. `report` is what the host saw in the
    test report that the command was to write.
    """

    exit_code: int
    stdout: str = ""
    stderr: str = ""
    duration: float = 0.0
    limit: str = ""
    cut: int = 0
    changes: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    dropped: tuple[str, ...] = ()
    report: Seen | None = None


class Value(Struct, frozen=True, tag="value"):
    """What expressions came to, by name."""

    values: dict[str, Any]


class ScriptRequest(Struct, frozen=True, tag="script-request"):
    """A script's function asks the host for something before it can go on."""

    function: str
    arguments: dict[str, Any]


class ChildResult(Struct, frozen=True, tag="child-result", omit_defaults=True):
    """How a child task ended. `conflicts`: paths that could not be merged into the parent's workspace. `sources`: what
    it read that a stranger can have written."""

    task: str
    verdict: Verdict
    parts: tuple[Part, ...] = ()
    changes: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    conflicts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Reply(Struct, frozen=True, tag="reply", omit_defaults=True):
    """What a person answered. `by` is who, `via` the channel it came by (`rest`, `cli`, `a2a`, ...). The default after the
    time limit is by `host`, via `time-limit`; a grant's answer by `grant:ID`."""

    text: str
    by: str = "owner"
    via: str = ""


class Nothing(Struct, frozen=True, tag="nothing"):
    """It happened, and there is nothing more to say (a wait is over, a command was stopped)."""


Answer = ModelAnswer | ToolResult | RunResult | Seen | Value | ScriptRequest | ChildResult | Reply | Nothing


class Created(Struct, frozen=True, tag="created"):
    """The task came to be."""

    spec: TaskSpec


class Claimed(Struct, frozen=True, tag="claimed"):
    """An owner took the task. Commands that are open and were not safe to repeat are in doubt now."""

    epoch: int
    owner: str


class Asked(Struct, frozen=True, tag="asked"):
    """The program asked for a command."""

    command: Command


class Started(Struct, frozen=True, tag="started"):
    """A command that is not safe to repeat is about to be performed, with this idempotency key."""

    command: str
    key: str


class Retried(Struct, frozen=True, tag="retried", omit_defaults=True):
    """A command is performed again: attempt number, why, and after how many seconds."""

    command: str
    attempt: int
    failure: Failure
    delay: float = 0.0


class Begun(Struct, frozen=True, tag="begun", omit_defaults=True):
    """Something that costs money was begun elsewhere for a command: which attempt it is, by which model.

    `handle` is where its answer can be fetched, also after a crash; empty for what is fetched by nobody
    (a tool's paid call), which stands here because its worst case is reserved with it.
    """

    command: str
    attempt: int
    model: str
    handle: str = ""


class Answered(Struct, frozen=True, tag="answered", omit_defaults=True):
    """A command has its answer, or its failure."""

    command: str
    answer: Answer | None = None
    failure: Failure | None = None


class Doubted(Struct, frozen=True, tag="doubted"):
    """A command that is not safe to repeat was in flight when its owner died, and nobody knows
    whether it happened."""

    command: str


class Received(Struct, frozen=True, tag="received"):
    """A message came for the task while it was running."""

    message: Message


class CancelAsked(Struct, frozen=True, tag="cancel-asked", omit_defaults=True):
    """Somebody asked for the task to be cancelled."""

    by: str = "owner"
    reason: str = ""


class Paused(Struct, frozen=True, tag="paused", omit_defaults=True):
    """The task rests until somebody resumes it: nothing of it was under way any more."""

    by: str = "owner"
    reason: str = ""


class Resumed(Struct, frozen=True, tag="resumed", omit_defaults=True):
    """Somebody had the task go on."""

    by: str = "owner"


class Noted(Struct, frozen=True, tag="noted", omit_defaults=True):
    """Something worth showing that changes nothing (a slot was awaited, a workspace was restored)."""

    text: str
    command: str = ""
    details: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class Finished(Struct, frozen=True, tag="finished", omit_defaults=True):
    """The task ended. `uncertain` names commands that may have happened all the same. `sources`: what was read on the
    way that a stranger can have written."""

    verdict: Verdict
    parts: tuple[Part, ...] = ()
    artifacts: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


Event = (
    Created
    | Claimed
    | Asked
    | Started
    | Retried
    | Begun
    | Answered
    | Doubted
    | Received
    | CancelAsked
    | Paused
    | Resumed
    | Noted
    | Finished
)


class Recorded(Struct, frozen=True):
    """An event in its place in a task's journal. `at` is seconds since the epoch."""

    task: str
    seq: int
    at: float
    event: Event


VERSION = 1
"""The version of events that this host writes."""

UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""How an event body of an older version (kind, version) becomes one of the next version."""

KINDS: dict[str, type[Event]] = {
    "created": Created,
    "claimed": Claimed,
    "asked": Asked,
    "started": Started,
    "retried": Retried,
    "begun": Begun,
    "answered": Answered,
    "doubted": Doubted,
    "received": Received,
    "cancel-asked": CancelAsked,
    "paused": Paused,
    "resumed": Resumed,
    "noted": Noted,
    "finished": Finished,
}

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """The event's body as JSON."""
    return _encoder.encode(event)


def kind_of(event: Event) -> str:
    """The event's kind."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def decode_event(kind: str, version: int, body: bytes) -> Event:
    """The event of a body. Raises NewerVersion for a kind or version that this host doesn't know."""
    if kind not in KINDS or version > VERSION:
        raise NewerVersion(
            f"the journal has an event '{kind}' of version {version}, written by a newer AgentHost "
            f"(this one reads up to version {VERSION}); upgrade AgentHost to go on with this task",
            kind=kind,
            version=version,
        )
    if version == VERSION:
        return _decoder.decode(body)
    value = msgspec.json.decode(body)
    for step in range(version, VERSION):
        upcast = UPCASTS.get((kind, step))
        value = upcast(value) if upcast else value
    return msgspec.convert(value, Event)
