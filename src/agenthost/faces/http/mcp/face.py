"""The door at `/mcp`: nothing of the official package is loaded before the first request."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.faces.http.app import Face
from agenthost.faces.http.bodies import mistake, problem
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.mcp.beside import Beside
from agenthost.faces.http.streams import Closing
from agenthost.host.settings import McpSettings

PATH = "/mcp"
_INVALID_REQUEST = -32600  # JSON-RPC 2.0, section 5.1


class McpFace:
    """An asynchronous context, open while the host serves. When `closing` is set, whoever waits for a task is told that
    it goes on."""

    def __init__(self, closing: Closing, settings: McpSettings) -> None:
        self._closing = closing
        self._settings = settings
        self._group = asyncio.TaskGroup()
        self._leaving = asyncio.Event()
        self._stop = asyncio.Event()
        self._begun: asyncio.Future[ASGIApp] | None = None

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
        with suppress(ClientDisconnect):  # in the middle of its request: nobody is left to be told anything
            await app(scope, receive, send)

    async def _started(self) -> ASGIApp:
        if self._begun is None or (self._begun.done() and self._begun.exception() is not None):
            self._begun = asyncio.get_running_loop().create_future()
            self._group.create_task(self._hold(self._begun))
        # A client that goes away meanwhile leaves the others waiting for the same.
        return await asyncio.shield(self._begun)

    async def _hold(self, begun: asyncio.Future[ASGIApp]) -> None:
        """Everything that lives as long as the face does, in one task: the package's scopes want that."""
        try:
            serving = await asyncio.to_thread(_load)
            async with serving(self._settings, self._leaving, Beside(self._group)) as manager:
                begun.set_result(manager.handle_request)
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - a published server may raise anything; the host goes on
            told = error if isinstance(error, AgentHostError) else mistake(error, PATH)
            if not begun.done():
                begun.set_exception(told)


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
