"""The door at `/mcp`: nothing of the official package is loaded before the first request."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.faces.http.app import Face
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.streams import Closing

PATH = "/mcp"
_INVALID_REQUEST = -32600  # JSON-RPC 2.0, section 5.1


class McpFace:
    """An asynchronous context, open while the host serves. `servers`: published servers, name to `module:attribute`.
    When `closing` is set, whoever waits for a task is told that it goes on."""

    def __init__(self, closing: Closing, servers: Mapping[str, str]) -> None:
        self._closing = closing
        self._servers = dict(servers)
        self._group = asyncio.TaskGroup()
        self._leaving = asyncio.Event()
        self._stop = asyncio.Event()
        self._starting = asyncio.Lock()
        self._app: ASGIApp | None = None

    def face(self) -> Face:
        """As it is served."""
        return Face((Route(PATH, self),), (PATH,), refused)

    async def __aenter__(self) -> "McpFace":
        await self._group.__aenter__()
        self._watching = self._group.create_task(self._watch_closing())
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._leaving.set()
        self._stop.set()
        self._watching.cancel()
        # What the body raised goes on as it is; the group would wrap it.
        await self._group.__aexit__(None, None, None)

    async def _watch_closing(self) -> None:
        await self._closing.wait()
        self._leaving.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await self._started()
        except AgentHostError as error:
            await refused(error)(scope, receive, send)
            return
        # RFC 9110, 5.5: blanks around a value are none of it. The server's parser leaves those at its end.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        scope = {**scope, "headers": headers}
        _own(scope)
        await app(scope, receive, send)

    async def _started(self) -> ASGIApp:
        async with self._starting:
            if self._app is None:
                begun: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()
                self._group.create_task(self._hold(begun))
                self._app = await begun
        return self._app

    async def _hold(self, begun: asyncio.Future[ASGIApp]) -> None:
        """Everything that lives as long as the face does, in one task: the package's scopes want that."""
        try:
            serving = await asyncio.to_thread(_load)
            async with serving(self._servers, self._leaving, self._group) as manager:
                begun.set_result(manager.handle_request)
                await self._stop.wait()
        except AgentHostError as error:
            begun.set_exception(error)


def refused(error: AgentHostError, status: int | None = None) -> Response:
    """An error before there is a request of the protocol, as its clients want it: JSON-RPC without an id."""
    told = problem(error, status)
    body = {"code": _INVALID_REQUEST, "message": error.message, "data": {"code": error.code}}
    content = msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": body})
    kept = {name: value for name, value in told.headers.items() if name == "retry-after"}
    return Response(content, told.status_code, kept, "application/json")


def _load() -> Any:
    try:
        from agenthost.faces.http.mcp.server import serving
    except ImportError as problem:
        raise Unavailable(f"MCP needs a library ({problem.name}). Run: pip install 'agenthost[mcp]'") from problem
    return serving


def _own(scope: Scope) -> None:
    """A session belongs to whoever began it: the package compares who comes by this."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    caller = caller_of(Request(scope))
    scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=f"{caller.namespace}/{caller.person}", scopes=[]))
