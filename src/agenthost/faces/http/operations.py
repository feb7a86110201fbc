"""What the HTTP API consists of: operations as records, from which follow the routes and the OpenAPI description.

A handler is called once its query parameters were read by the operation's own record, so that an unknown parameter or a
wrong type never reaches it. Whoever adds to the API adds an `Operation` to a table; nothing else has to be told.
"""

import types
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agenthost.core.access import Right
from agenthost.core.errors import BadInput, nearest
from agenthost.faces.http.bodies import edge, place_of, problem
from agenthost.wire.bodies import ROOT

Q = TypeVar("Q", bound=Struct)

Handler = Callable[[Request], Awaitable[ASGIApp]]
"""Answers a request; what it raises becomes a problem. The answer may be a stream."""

_QUERY = "agenthost.query"


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class Header(Struct, frozen=True):
    """A header that an operation reads. `pattern`: what it may be, where not any text."""

    name: str
    description: str
    example: str = ""
    pattern: str = ""


IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "Any text of at most 200 characters. The same key, of the same person on the same path, does the work once and gives "
    "its answer again for 24 hours",
    "5f0c7a4e",
)
IF_MATCH = Header("If-Match", "An ETag: the change is made only where the thing still has that version")
IF_NONE_MATCH = Header("If-None-Match", "An ETag: where the thing still has it, the answer is 304 without a body")
RANGE = Header("Range", "A part of the file, as in RFC 9110, section 14: `bytes=0-1023`", "bytes=0-3")


class Body(Struct, frozen=True):
    """What an operation takes. `type` is a record, read from JSON; None for bytes as they are. `media`: the types that it
    may come in."""

    type: Any = None
    description: str = ""
    media: tuple[str, ...] = ("application/json",)
    required: bool = True


class Answer(Struct, frozen=True):
    """What an operation gives where all is well. `type` None: nothing, or bytes where `media` says of which kind."""

    status: int = 200
    type: Any = None
    description: str = "as asked"
    media: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    links: dict[str, dict[str, str]] = msgspec.field(default_factory=dict[str, dict[str, str]])
    """What can be asked next: an operation's id to its parameters, as OpenAPI's runtime expressions."""


class Example(Struct, frozen=True):
    """A request that is really tried (tests/faces/rest/test_examples.py) and shown in the description. `places` are path
    parameters where they aren't the usual ones. `of` names what must be there for it: a task that `asks`, that `ended`..."""

    query: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    places: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    of: str = "ended"
    status: int = 0


class Operation(Struct, frozen=True):
    """One operation. `path` is below `above`, as Starlette writes it (`/tasks/{task}`, `/models/{name:path}`). `right` is
    what the caller must have; None needs no token (the path must then be public in the guard's settings too). `query` is a
    record of the parameters: whatever isn't a field of it is refused. `errors` are statuses beside those that follow from
    the rest. `streams`: the answer goes on, so that HEAD isn't served. `creates`: Idempotency-Key is honoured."""

    method: str
    path: str
    handler: Handler
    id: str
    summary: str
    tag: str
    right: Right | None = "read"
    description: str = ""
    query: type[Struct] = Nothing
    headers: tuple[Header, ...] = ()
    body: Body | None = None
    answers: tuple[Answer, ...] = (Answer(),)
    errors: tuple[int, ...] = ()
    example: Example = Example()
    above: str = ROOT
    places: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    streams: bool = False
    creates: bool = False

    @property
    def whole(self) -> str:
        """The path from the root of the host, in OpenAPI's writing."""
        return self.above + self.path.replace(":path}", "}")


PLACES: dict[str, Any] = {
    "task": Annotated[str, Meta(description="A task's id", examples=["0swkq9dztb8pz1q4"])],
    "digest": Annotated[str, Meta(description="A file's content hash", examples=["sha256:" + "0" * 64])],
    "kind": Annotated[str, Meta(description="A kind of manifest", examples=["agent"])],
    "name": Annotated[str, Meta(description="A name", examples=["coder"])],
}
"""The path parameters that mean the same wherever they stand."""

Wrap = Callable[[Operation, Handler], Handler]
"""Puts something around the handlers of operations: answers that are kept, limits."""


def query_of(request: Request, type: type[Q]) -> Q:
    """The parameters of a request, as its operation's record."""
    return request.scope[_QUERY]


def routes_of(operations: Iterable[Operation], wraps: Sequence[Wrap] = ()) -> list[BaseRoute]:
    """A route for each path, with all of its methods: so that the answer to another one names them all."""
    paths: dict[str, dict[str, _Served]] = {}
    for operation in operations:
        paths.setdefault(operation.above + operation.path, {})[operation.method] = _Served(operation, wraps)
    return [Route(path, _Methods(methods)) for path, methods in paths.items()]


class _Methods:
    """The operations of one path."""

    def __init__(self, methods: "dict[str, _Served]") -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        served = self._methods.get(method) or (self._methods.get("GET") if method == "HEAD" else None)
        if served is None or (method == "HEAD" and served.operation.streams):
            told = BadInput(f"'{method} {scope['path']}' is refused: this path has {', '.join(self._methods)}")
            response: ASGIApp = problem(told, 405, {"Allow": ", ".join(self._methods)})
        else:
            response = await served(Request(scope, receive))
        await response(scope, receive, send)


class _Served:
    """One operation behind the fence: whatever its handler raises becomes an answer."""

    def __init__(self, operation: Operation, wraps: Sequence[Wrap]) -> None:
        self.operation = operation
        self._read = _reader(operation.query)
        handler = operation.handler
        for wrap in wraps:
            handler = wrap(operation, handler)
        self._handler = handler
        self._answer = edge(self._inside)

    async def __call__(self, request: Request) -> ASGIApp:
        return await self._answer(request)

    async def _inside(self, request: Request) -> ASGIApp:
        request.scope[_QUERY] = self._read(request)
        return await self._handler(request)


def _reader(query: type[Struct]) -> Callable[[Request], Struct]:
    hints = get_type_hints(query)
    fields = {field.encode_name: _many(hints[field.name]) for field in msgspec.structs.fields(query)}
    empty = query() if not any(field.required for field in msgspec.structs.fields(query)) else None

    def read(request: Request) -> Struct:
        if empty is not None and not request.scope.get("query_string"):
            return empty
        values: dict[str, Any] = {}
        for name in request.query_params:
            if name not in fields:
                raise BadInput(f"there is no parameter '{name[:80]}' here. {_known(name, list(fields))}")
            given = request.query_params.getlist(name)
            if not fields[name] and len(given) > 1:
                raise BadInput(f"the parameter '{name}' stands {len(given)} times; give it once")
            values[name] = given if fields[name] else given[0]
        try:
            return msgspec.convert(values, query, strict=False)
        except msgspec.ValidationError as error:
            place, why = place_of(str(error))
            raise BadInput(f"the parameter '{place.partition('[')[0]}' is wrong: {why}") from error

    return read


def _many(hint: Any) -> bool:
    return get_origin(hint) is tuple or isinstance(hint, types.GenericAlias)


def _known(name: str, known: list[str]) -> str:
    return nearest(name, known) if known else "It takes none."
