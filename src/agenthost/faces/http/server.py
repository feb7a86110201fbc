"""Serves the API on the host's local socket, inside the process that holds the host.

Only its owner (or root) is served: the socket has mode 0600, and the user id of whoever connects is
asked of the kernel. Signals are the command line's; nothing here touches them.
"""

import asyncio
import contextlib
import os
import socket as sockets
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError
from agenthost.faces.http.app import application
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.streams import ABORT, Closing, StreamSettings
from agenthost.wire import sockets as local

_HEADERS = 1024 * 1024  # Last-Event-ID names every task of a tree


class ServeSettings(msgspec.Struct, frozen=True):
    """How the API is served. `grace`: seconds that open requests get when the host stops.

    `users`: user ids that are served beside root; None is whoever runs the host.
    """

    streams: StreamSettings = StreamSettings()
    grace: float = 2.0
    users: frozenset[int] | None = None


@contextlib.asynccontextmanager
async def serve(api: HostApi, socket: Path, settings: ServeSettings | None = None) -> AsyncGenerator[None]:
    """Serve `api` on a unix socket at `socket` while the context is open; then end every stream.

    It is served from the first line of the body on. Raises HomeBusy where another host answers
    there, BadInput where the socket can't be made.
    """
    settings = settings or ServeSettings()
    closing = Closing()
    listener = await asyncio.to_thread(local.listen, socket)
    which = local.identity(socket)
    server = _Server(_config(application(api, closing, settings.streams), settings), settings.grace)
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run_on(listener), name="http")
            await server.ready.wait()
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised below: a task group would wrap it
                failure = error
            finally:
                # The file goes first: who comes now finds no host, not one that is on its way out.
                local.remove(socket, which)
                closing.set()
                server.stop.set()
                await server.done.wait()
    finally:
        listener.close()
        local.remove(socket, which)
    if failure is not None:
        raise failure


def _config(app: Any, settings: ServeSettings) -> uvicorn.Config:
    allowed = settings.users if settings.users is not None else frozenset({os.getuid()})
    return uvicorn.Config(
        app,
        http=_guarded(allowed | {0}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_HEADERS,
        timeout_graceful_shutdown=None,
        timeout_keep_alive=60,
        backlog=128,
    )


class _Server(uvicorn.Server):
    """A server that is told to stop by an event: no signal handlers, no ticking while nothing happens."""

    def __init__(self, config: uvicorn.Config, grace: float) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stop = asyncio.Event()
        self.done = asyncio.Event()
        self._grace = grace

    async def run_on(self, listener: sockets.socket) -> None:
        """Serve until `stop` is set; `done` is set when every connection has ended, however that came."""
        try:
            await self.serve([listener])
        finally:
            self.done.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[sockets.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.stop.wait()

    async def shutdown(self, sockets: list[sockets.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                # uvicorn has no event for a connection's end
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)


def _guarded(allowed: frozenset[int]) -> type[H11Protocol]:
    """The protocol of a connection, for the users allowed; anybody else is refused, whatever is asked."""

    class Guarded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            super().connection_made(transport)
            connection = transport.get_extra_info("socket")
            user = local.peer_uid(connection) if connection is not None else None
            if user is not None and user not in allowed:
                self.app = _forbidden(user)
                return
            inner = self.app

            async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
                scope[ABORT] = transport.abort
                await inner(scope, receive, send)

            self.app = with_abort

    return Guarded


def _forbidden(user: int) -> ASGIApp:
    error = AgentHostError(f"this host belongs to another user, and user id {user} is not served")
    error.code = "forbidden"
    return problem(error, 403)
