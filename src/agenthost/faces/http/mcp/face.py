"""The door at `/mcp`: nothing of the official package is loaded before the first request."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.streams import Closing

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class McpFace:
    """An asynchronous context: open while the host serves.

    `servers`: published servers, name to `module:attribute`. `hosts`: the names by which a client may call, and
    the origins from which a browser may; None where the server in front has checked both.
    """

    def __init__(
        self, closing: Closing, servers: Mapping[str, str] | None = None, hosts: tuple[str, ...] | None = LOOPBACK
    ) -> None:
        self._closing = closing
        self._servers = dict(servers or {})
        self._hosts = hosts
        self._group = asyncio.TaskGroup()
        self._leaving = asyncio.Event()
        self._stop = asyncio.Event()
        self._starting = asyncio.Lock()
        self._app: ASGIApp | None = None
        self._watching: asyncio.Task[None] | None = None

    def routes(self) -> list[BaseRoute]:
        """The route of the door."""
        return [Route("/mcp", self)]

    async def __aenter__(self) -> "McpFace":
        await self._group.__aenter__()
        self._watching = self._group.create_task(self._watch_closing())
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._leaving.set()
        self._stop.set()
        if self._watching is not None:
            self._watching.cancel()
        await self._group.__aexit__(*error)

    async def _watch_closing(self) -> None:
        await self._closing.wait()
        self._leaving.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await self._started()
        except AgentHostError as error:
            await problem(error)(scope, receive, send)
            return
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
            async with serving(self._servers, self._hosts, self._leaving, self._group) as manager:
                begun.set_result(manager.handle_request)
                await self._stop.wait()
        except AgentHostError as error:
            if begun.done():
                raise
            begun.set_exception(error)


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
    from starlette.requests import Request

    caller = caller_of(Request(scope))
    scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=f"{caller.namespace}/{caller.person}", scopes=[]))
