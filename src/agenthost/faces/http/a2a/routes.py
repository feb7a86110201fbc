"""A2A as a face of a host: its routes, and what goes on beside them. What is behind them is loaded at the first request."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from agenthost.core.access import Accounts
from agenthost.core.api import HostApi, Reception
from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.pushes import Pushes
from agenthost.faces.http.app import Face
from agenthost.faces.http.bodies import edge
from agenthost.faces.http.grouped import grouped
from agenthost.faces.http.streams import Closing
from agenthost.host.outgoing import Outgoing
from agenthost.host.settings import A2ASettings
from agenthost.wire.problems import problem_of

if TYPE_CHECKING:
    from agenthost.faces.http.a2a.notify import Notifier
    from agenthost.faces.http.a2a.serving import Serving

INSTALL = "A2A needs a library. Run: pip install 'agenthost[a2a]'"
METHODS = ["GET", "POST", "DELETE"]
OWN = {
    "message:send": ["POST"],
    "message:stream": ["POST"],
    "tasks": ["GET"],
    "tasks/{below:path}": METHODS,
    "extendedAgentCard": ["GET"],
    "v1/{below:path}": METHODS,
}
"""What HTTP+JSON has below `/a2a` itself, for the default agent: no agent can be reached by such a name there."""

PUBLIC = ("/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/jwks.json")

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
"""google.rpc.Code by the status of HTTP."""


class A2AParts(Struct, frozen=True):
    """What the face is joined from. `home` holds the host's key; `pushes` keeps addresses for push notifications, and
    `outgoing` sends to them, `accounts` knows whether they may still be told; `reception` knows who may come by gRPC;
    `closing` says that the host stops; `address` is the URL of the host's port, for who comes by gRPC and doesn't name it."""

    settings: A2ASettings
    home: Path
    pushes: Pushes | None = None
    outgoing: Outgoing | None = None
    accounts: Accounts | None = None
    reception: Reception | None = None
    closing: Closing = msgspec.field(default_factory=Closing)
    address: str = ""


class A2AFace:
    """The face over `api`, the host itself: requests act as their callers, cards and notifications as the host."""

    def __init__(self, api: HostApi, parts: A2AParts) -> None:
        self._api = api
        self._parts = parts
        self._serving: Serving | None = None
        self._loading = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._notifier: Notifier | None = None

    def face(self) -> Face:
        """The face as it is offered on the port. The cards and the key need no caller; all else does."""
        return Face(
            tuple(self._routes()),
            ("/a2a", "/.well-known/agent"),
            refusal,
            frozenset({*PUBLIC, "/a2a/.well-known/agent-card.json"}),
            public_ends=(("/a2a/", "/.well-known/agent-card.json"),),
        )

    def _routes(self) -> list[BaseRoute]:
        rpc, rest = _Endpoint(self, rest=False), _Endpoint(self, rest=True)
        return [
            Route("/.well-known/agent-card.json", edge(self._card), methods=["GET"]),
            Route("/.well-known/agent.json", edge(self._card), methods=["GET"]),
            Route("/.well-known/jwks.json", edge(self._keys), methods=["GET"]),
            Route("/a2a/.well-known/agent-card.json", edge(self._card), methods=["GET"]),
            Route("/a2a/{agent}/.well-known/agent-card.json", edge(self._card), methods=["GET"]),
            Route("/a2a", rpc, methods=["POST"]),
            Route("/a2a/", rpc, methods=["POST"]),
            *(Route(f"/a2a/{path}", rest, methods=methods) for path, methods in OWN.items()),
            Route("/a2a/{agent}", rpc, methods=["POST"]),
            Route("/a2a/{agent}/", rpc, methods=["POST"]),
            Route("/a2a/{agent}/{below:path}", rest, methods=METHODS),
        ]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While the context is open, addresses are told what becomes of their tasks, and gRPC is served where it is
        set up."""
        async with grouped() as group, contextlib.AsyncExitStack() as stack:
            self._group = group
            try:
                await self._begin(stack)
                yield
            finally:
                self._group = None
                if self._notifier is not None:
                    self._notifier.stop()

    async def _begin(self, stack: contextlib.AsyncExitStack) -> None:
        if self._parts.pushes is not None and await self._parts.pushes.open():
            try:
                await self.loaded()
            except Unavailable as error:
                structlog.get_logger(__name__).warning("push notifications wait", error=error.message)
        if self._parts.settings.grpc_port:
            await self._serve_grpc(stack)

    async def _serve_grpc(self, stack: contextlib.AsyncExitStack) -> None:
        if self._parts.reception is None:
            raise Unavailable("gRPC needs authentication, and there is none here; leave [a2a] grpc-port out")
        serving = await self.loaded()
        from agenthost.faces.http.a2a.rpc_port import serve

        settings, group = self._parts.settings, self._group
        assert group is not None
        base = settings.url or self._parts.address
        await stack.enter_async_context(serve(serving, self._parts.reception, settings, base, group))

    async def _card(self, request: Request) -> Response:
        return await (await self.loaded()).card(self._api, request)

    async def _keys(self, request: Request) -> Response:
        return await (await self.loaded()).keys(request)

    async def loaded(self) -> "Serving":
        """What serves requests, once the SDK is loaded. Raises Unavailable where it isn't installed."""
        async with self._loading:
            if self._serving is None:
                await asyncio.to_thread(_load)
                self._serving = await self._joined()
        return self._serving

    async def _joined(self) -> "Serving":
        from agenthost.faces.http.a2a.cards import Cards, Offered
        from agenthost.faces.http.a2a.notify import Notifier
        from agenthost.faces.http.a2a.serving import Serving
        from agenthost.host.identity import identity

        parts, settings = self._parts, self._parts.settings
        own = await identity(parts.home)
        pushes, outgoing, accounts, reception = parts.pushes, parts.outgoing, parts.accounts, parts.reception
        if pushes and outgoing and accounts and reception and self._group is not None:
            self._notifier = Notifier(pushes, self._api, own, outgoing, self._group, accounts, reception.api)
            await self._notifier.start()
        grpc = settings.grpc_url or f"{settings.grpc_host}:{settings.grpc_port}"
        offered = Offered(grpc if settings.grpc_port else "", self._notifier is not None)
        return Serving(settings.agent, settings.url, Cards(own, offered), self._notifier, parts.closing)


def refusal(error: AgentHostError, status: int | None = None) -> Response:
    """An error before there is a method, as HTTP+JSON has it (specification 11.6)."""
    code = status or problem_of(error).status
    told = {"code": code, "status": STATUSES.get(code, "INTERNAL"), "message": error.message}
    return JSONResponse({"error": told}, code)


class _Endpoint:
    """The ASGI application behind a path. The agent is in the path; none there is the default one."""

    def __init__(self, face: A2AFace, rest: bool) -> None:
        self._face = face
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            serving = await self._face.loaded()
        except AgentHostError as error:
            await refusal(error)(scope, receive, send)
            return
        if not self._rest:
            await serving.rpc(scope, receive, send)
            return
        _, _, below = str(scope["path"]).partition("/a2a/")
        agent = str(scope["path_params"].get("agent", ""))
        await serving.rest(scope, receive, send, below.removeprefix(f"{agent}/") if agent else below)


def _load() -> None:
    """Import the SDK, which takes about a second: not on the loop."""
    try:
        import agenthost.faces.http.a2a.notify  # pyright: ignore[reportUnusedImport]
        import agenthost.faces.http.a2a.serving  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise Unavailable(INSTALL) from error
