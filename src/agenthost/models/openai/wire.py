"""What both wires share: their settings, the shape of a reader, and what a reader may find wrong."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agenthost.core.models import Delta, ModelAnswer, ModelRequest, Usage
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.openai.content import Said
from agenthost.models.openai.names import wire_name
from agenthost.models.openai.sse import Event, Frame

Tell = Callable[[Delta], None]


class Shape(Struct, frozen=True):
    """How a request's body is to be written. `output_field` is Chat Completions' name for the most
    tokens of an answer. `cache_key`: requests that begin alike say so. `extra` is laid over the body as it stands."""

    model: str
    stream: bool = True
    output_field: str = "max_tokens"
    cache_key: bool = False
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class BadAnswer(Exception):
    """The answer isn't one: not JSON, no choices, no message. Its text says which."""


class ErrorBody(Struct, frozen=True):
    """The fields of an error as OpenAI's API and the servers that speak it write them."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""


class Refused(Exception):
    """The provider reported an error where an answer should be."""

    def __init__(self, error: ErrorBody) -> None:
        super().__init__(error.message)
        self.error = error


class Teller:
    """Tells the pieces of an answer. Words that came together are told together: `flush` ends what came."""

    __slots__ = ("_reasoning", "_tell", "_words")

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._words: list[str] = []
        self._reasoning = False

    def words(self, text: str, reasoning: bool = False) -> None:
        """Words of the answer, or of the thinking before it."""
        if reasoning is not self._reasoning:
            self.flush()
            self._reasoning = reasoning
        self._words.append(text)

    def call(self, call: ToolCall) -> None:
        """A whole call of a tool."""
        self.flush()
        self._tell(Delta(call=call))

    def flush(self) -> None:
        """Tell what came so far."""
        if self._words:
            text = "".join(self._words)
            self._words.clear()
            self._tell(Delta(reasoning=text) if self._reasoning else Delta(text=text))


class Reader(Protocol):
    """Takes the events of one stream and makes an answer of them, telling pieces as they come."""

    @property
    def complete(self) -> bool:
        """Whether everything that makes the answer was seen."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the server said that nothing more will come."""
        ...

    @property
    def frame(self) -> Frame | None:
        """What its words stood in last, where that was one to look for."""
        ...

    def feed(self, events: Sequence[Event]) -> None:
        """Take what came at once. Raises BadAnswer or Refused."""
        ...

    def answer(self) -> ModelAnswer:
        """Only once `complete`. Raises BadAnswer."""
        ...


class Wire(Protocol):
    """One of OpenAI's two APIs."""

    @property
    def path(self) -> str:
        """Below the base URL."""
        ...

    def body(self, request: ModelRequest, said: Sequence[Said], shape: Shape) -> dict[str, Any]: ...

    def reader(self, tell: Tell, names: dict[str, str]) -> Reader: ...

    def whole(self, content: bytes, names: dict[str, str]) -> ModelAnswer:
        """An answer that came in one piece. Raises BadAnswer or Refused."""
        ...


def error_of(value: Any) -> ErrorBody | None:
    """The error in a decoded JSON body, in whichever of the known shapes; None where there is none.

    OpenAI, llama.cpp, Ollama and newer vLLM: `{"error": {...}}`. LM Studio and others:
    `{"error": "..."}`. Older vLLM: `{"object": "error", ...}`. FastAPI: `{"detail": ...}`.
    """
    if not isinstance(value, dict):
        return None
    error: Any = value.get("error")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(error, str):
        return ErrorBody(error)
    if isinstance(error, dict):
        return _fields(error)  # pyright: ignore[reportUnknownArgumentType]
    if value.get("object") == "error" or value.get("type") == "error":  # pyright: ignore[reportUnknownMemberType]
        return _fields(value)  # pyright: ignore[reportUnknownArgumentType]
    detail: Any = value.get("detail")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if detail:
        return ErrorBody(detail if isinstance(detail, str) else msgspec.json.encode(detail).decode())
    return None


def _fields(error: dict[str, Any]) -> ErrorBody:
    def text(key: str) -> str:
        value = error.get(key)
        return "" if value is None else str(value)

    return ErrorBody(text("message"), text("type"), text("code"), text("param"))


def json_error(content: bytes) -> ErrorBody | None:
    """The error that `content` tells of; None where it is no JSON or tells of none."""
    try:
        return error_of(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def parts_of(text: str) -> tuple[Part, ...]:
    return (TextPart(text),) if text else ()


def arguments_of(value: str | dict[str, Any] | None) -> str:
    """A call's arguments as JSON text; some servers send the object itself, or nothing."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return value or "{}"


def function_of(tool: ToolSpec) -> dict[str, Any]:
    """A tool as both wires tell of it."""
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {"name": wire_name(tool.name), "description": tool.description, "parameters": parameters}


class Details(Struct):
    """What a count of tokens is made of, on both wires."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


def usage_of(given: int | None, made: int | None, of_given: Details | None, of_made: Details | None) -> Usage:
    """What was counted; a count that isn't there is 0."""
    read, thought = of_given or Details(), of_made or Details()
    return Usage(
        given or 0, made or 0, read.cached_tokens or 0, thought.reasoning_tokens or 0, read.cache_write_tokens or 0
    )


def cache_key(request: ModelRequest) -> str:
    """The same for all requests that begin with the same instructions and tools, so that the provider sends them where
    that beginning is cached (OpenAI's guide "Prompt caching"). In practice: one for each agent and stage."""
    prefix = (request.metadata.get("agent", ""), request.instructions, request.tools)
    return "agenthost-" + sha256(msgspec.json.encode(prefix)).hexdigest()[:40]


def own_call(call: ToolCall, names: dict[str, str]) -> ToolCall:
    """The call with the tool's own name in place of the wire's."""
    return msgspec.structs.replace(call, name=names[call.name]) if call.name in names else call


def sendable(arguments: str) -> str:
    """A past call's arguments as they may be sent back. Several servers parse them and refuse the whole
    request over one that the model wrote badly, so such text travels inside an object."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.encode({"malformed": arguments}).decode()
    return arguments
