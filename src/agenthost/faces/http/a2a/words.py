"""A2A's words for ours, and back: states, parts, errors."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from a2a.types.a2a_pb2 import Message, Part, Role, TaskState, TaskStatus
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InternalError,
    InvalidParamsError,
    InvalidRequestError,
    TaskNotFoundError,
)
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct as ProtoStruct
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from agenthost.core.api import HostApi, OpenQuestion
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, NotFound, Unauthenticated, Unavailable
from agenthost.core.lifecycle import State
from agenthost.core.media import media_type
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.parts import Part as OurPart
from agenthost.core.questions import about, shown

STATES: dict[State, TaskState] = {
    "submitted": TaskState.TASK_STATE_SUBMITTED,
    "working": TaskState.TASK_STATE_WORKING,
    "input-required": TaskState.TASK_STATE_INPUT_REQUIRED,
    "auth-required": TaskState.TASK_STATE_AUTH_REQUIRED,
    "completed": TaskState.TASK_STATE_COMPLETED,
    "failed": TaskState.TASK_STATE_FAILED,
    "canceled": TaskState.TASK_STATE_CANCELED,
    "rejected": TaskState.TASK_STATE_REJECTED,
}
"""Ours are A2A's in short: one for one."""
OURS: dict[int, State] = {int(theirs): ours for ours, theirs in STATES.items()}

ACCEPTED = (
    "text/*",
    "image/*",
    "audio/*",
    "application/json",
    "application/yaml",
    "application/pdf",
    "application/zip",
    "application/octet-stream",
)
"""Media types of the files that an agent is given."""

INLINE = 1024 * 1024
"""Bytes up to which a file goes along in an answer; a larger one is named by its URL on this host."""
FILES = "/api/v1/files/"


def shown_state(state: State, asks: Sequence[Ask]) -> State:
    """A task's state as A2A knows it: also where one below it asks, it is the task that wants input."""
    if asks and state not in ("completed", "failed", "canceled", "rejected"):
        return "auth-required" if {ask.kind for ask in asks} == {"auth"} else "input-required"
    return "working" if state in ("input-required", "auth-required") else state


def stamp(at: float) -> Timestamp:
    """Seconds since the epoch as a timestamp, to the millisecond (specification 5.6.1)."""
    made = Timestamp()
    made.FromMilliseconds(int(at * 1000))
    return made


def seconds(at: Timestamp) -> float:
    """A timestamp as seconds since the epoch."""
    return at.ToDatetime(tzinfo=UTC).timestamp()


def is_set(at: Timestamp) -> bool:
    """Whether a timestamp says anything."""
    return at.ToDatetime() != datetime(1970, 1, 1)


def status(state: State, at: float, message: Message | None = None) -> TaskStatus:
    """A status."""
    return TaskStatus(state=STATES[state], message=message, timestamp=stamp(at))


# --- what we say ------------------------------------------------------------------------------------


def spoken(id: str, task: str, context: str, parts: Sequence[Part], role: Role = Role.ROLE_AGENT) -> Message:
    """A message of a task."""
    return Message(message_id=id, task_id=task, context_id=context, role=role, parts=parts)


def question(task: str, context: str, asked: OpenQuestion) -> Message:
    """A question as a message: its words, and what it is in data for programs."""
    ask = asked.ask
    parts = [Part(text=shown(asked.task, ask))]
    if ask.options or ask.kind not in ("input", "auth"):
        told: dict[str, Any] = {"kind": ask.kind, "question": f"{asked.task}/{ask.id}"}
        if ask.options:
            told["options"] = list(ask.options)
        if ask.tool:
            told |= {"tool": ask.tool, "arguments": ask.arguments}
        told |= about(ask)
        if asked.until:
            told["until"] = asked.until
        parts.append(Part(data=value_of(told), media_type="application/json"))
    return spoken(f"{asked.task}/{ask.id}", task, context, parts)


def value_of(data: Any) -> Value:
    """A JSON value."""
    return ParseDict(data, Value())


def json_of(value: Value) -> Any:
    """A JSON value as we have it: protobuf knows no whole numbers, and those that are whole come back as such."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "struct_value":
        return {key: json_of(inner) for key, inner in value.struct_value.fields.items()}
    if kind == "list_value":
        return [json_of(inner) for inner in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def struct_of(data: dict[str, Any]) -> ProtoStruct:
    """A JSON object."""
    return ParseDict(data, ProtoStruct())


async def part_of(api: HostApi, part: OurPart, base: str) -> Part:
    """A part of ours. A file's bytes go along up to a size."""
    if isinstance(part, TextPart):
        return Part(text=part.text)
    if isinstance(part, DataPart):
        return Part(data=value_of(part.data), media_type="application/json")
    kind = part.media_type or "application/octet-stream"
    if part.size > INLINE:
        return Part(url=f"{base}{FILES}{part.digest}", filename=part.name, media_type=kind)
    return Part(raw=await api.get_file(part.digest), filename=part.name, media_type=kind)


# --- what we are told -------------------------------------------------------------------------------


class Told:
    """A message's parts as an order takes them."""

    def __init__(self, text: str, files: tuple[FilePart, ...], data: tuple[Any, ...]) -> None:
        self.text = text
        self.files = files
        self.data = data

    @property
    def parts(self) -> tuple[OurPart, ...]:
        """As parts of one message."""
        text: tuple[OurPart, ...] = (TextPart(self.text),) if self.text else ()
        return (*text, *self.files, *map(DataPart, self.data))

    @property
    def answer(self) -> str:
        """As the answer to a question: its words, else its data as JSON."""
        import msgspec

        return self.text or "\n".join(msgspec.json.encode(value).decode() for value in self.data)


async def heard(api: HostApi, message: Message, base: str) -> Told:
    """What a message says; its files are kept. Raises InvalidParamsError, ContentTypeNotSupportedError."""
    texts: list[str] = []
    files: list[FilePart] = []
    data: list[Any] = []
    for number, part in enumerate(message.parts, 1):
        kind = part.WhichOneof("content")
        if kind == "text":
            texts.append(part.text)
        elif kind == "data":
            data.append(json_of(part.data))
        elif kind == "raw":
            files.append(await _kept(api, part, number))
        elif kind == "url":
            files.append(await _ours(api, part, base))
        else:
            raise InvalidParamsError(f"part {number} of the message has neither text, raw, url nor data")
    return Told("\n".join(texts), tuple(files), tuple(data))


async def _kept(api: HostApi, part: Part, number: int) -> FilePart:
    kind = (part.media_type or media_type(part.filename, part.raw)).partition(";")[0].strip().lower()
    _check_type(kind)
    return await api.put_file(part.filename or f"file-{number}", part.raw)


async def _ours(api: HostApi, part: Part, base: str) -> FilePart:
    """A file that this host has already. What is elsewhere isn't fetched: who gives work sends what belongs to it."""
    digest = unquote(part.url.removeprefix(base + FILES))
    if not part.url.startswith(base + FILES) or "/" in digest or "?" in digest:
        raise InvalidParamsError("files elsewhere are not fetched; send the file's bytes in 'raw'")
    content = await api.get_file(digest)
    kind = part.media_type or media_type(part.filename, content)
    _check_type(kind)
    return FilePart(digest, kind, len(content), part.filename)


def _check_type(kind: str) -> None:
    if not any(kind == known or (known.endswith("/*") and kind.startswith(known[:-1])) for known in ACCEPTED):
        raise ContentTypeNotSupportedError(f"files of type '{kind}' are not taken; send one of {', '.join(ACCEPTED)}")


# --- errors -----------------------------------------------------------------------------------------


def error_of(error: AgentHostError) -> A2AError:
    """One of our errors as A2A has it (specification 3.3.2 and 5.4)."""
    if isinstance(error, NotFound):
        return TaskNotFoundError(error.message)
    if isinstance(error, Unauthenticated | Forbidden):
        return InvalidRequestError(error.message)
    if isinstance(error, Unavailable):
        return InternalError(error.message)
    if isinstance(error, BadInput):
        return InvalidParamsError(error.message)
    return InternalError(error.message)


def as_dict(message: Any) -> dict[str, Any]:
    """A message of the protocol as JSON."""
    return MessageToDict(message)
