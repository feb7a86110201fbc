"""Serves the API inside the process that holds the host: on its local socket, and on a port where one is given.

On the socket only its owner (or root) is served: it has mode 0600, and the user id of whoever connects is
asked of the kernel. On a port everybody is served whom the reception knows. Signals are the command line's; nothing
here touches them.
"""

import asyncio
import contextlib
import os
import socket as sockets
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from pathlib import Path

import msgspec
import uvicorn
from starlette.types import ASGIApp

from agenthost.core.api import HostApi, Reception
from agenthost.core.errors import BadInput
from agenthost.core.keeping import Keeping
from agenthost.faces.http.app import Face, application
from agenthost.faces.http.grouped import grouped
from agenthost.faces.http.guard import Everybody, GuardSettings
from agenthost.faces.http.observed import Observed, Watch
from agenthost.faces.http.protocol import Bounds, protocol
from agenthost.faces.http.site import Limits, Ready, Site
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.wire import sockets as local

_LAST = 1.0
"""Seconds in which a request that was being answered may see that nobody is there any more."""


class ServeSettings(msgspec.Struct, frozen=True):
    """How the API is served. `grace`: seconds that open requests get when the host stops.

    `users`: user ids that are served beside root on the local socket; None is whoever runs the host. `certificate` and
    `key` are paths of PEM files: then the port speaks TLS.
    """

    streams: StreamSettings = StreamSettings()
    bounds: Bounds = Bounds()
    guard: GuardSettings = GuardSettings()
    grace: float = 2.0
    users: frozenset[int] | None = None
    certificate: str = ""
    key: str = ""


class Offer(msgspec.Struct, frozen=True):
    """What is served besides the local socket's own: listening sockets of TCP, whom the reception knows there, other
    protocols, whether the host takes work, what one person may ask for, who keeps answers to requests with a key, and who
    is told of each request."""

    reception: Reception
    listeners: Sequence[sockets.socket] = ()
    faces: Sequence[Face] = ()
    ready: Ready = lambda: ""
    closing: Closing = msgspec.field(default_factory=Closing)
    watch: Sequence[Watch] = ()
    limits: Callable[[], Limits] = Limits
    keeping: Keeping | None = None


@contextlib.asynccontextmanager
async def serve(
    api: HostApi, socket: Path, settings: ServeSettings | None = None, offer: Offer | None = None
) -> AsyncGenerator[None]:
    """Serve `api` on a unix socket at `socket` while the context is open, and what is offered; then end every stream.

    It is served from the first line of the body on. Raises HomeBusy where another host answers
    there, BadInput where the socket can't be made.
    """
    settings = settings or ServeSettings()
    offer = offer or Offer(Everybody(api))
    listener = await asyncio.to_thread(local.listen, socket)
    which = local.identity(socket)
    site = Site(offer.reception, offer.closing, settings.streams, offer.ready, offer.limits, offer.keeping)
    guard = application(site, settings.guard, offer.faces)
    app = Observed(guard, offer.watch)
    users = settings.users if settings.users is not None else frozenset({os.getuid()})
    servers = [_Server(_config(app, settings, users | {0}), settings.grace)]
    if offer.listeners:
        servers.append(_Server(_config(app, settings, None), settings.grace))
    try:
        async with grouped() as group:
            watching = group.create_task(guard.presence.watch(), name="presence")
            for server, listeners in zip(servers, ([listener], list(offer.listeners)), strict=False):
                group.create_task(server.run_on(listeners), name="http")
                await server.ready.wait()
            try:
                yield
            finally:
                # The file goes first: who comes now finds no host, not one that is on its way out.
                local.remove(socket, which)
                offer.closing.set()
                for server in servers:
                    server.stop.set()
                for server in servers:
                    await server.done.wait()
                watching.cancel()
    finally:
        for each in (listener, *offer.listeners):
            each.close()
        local.remove(socket, which)


def listen(host: str, port: int) -> sockets.socket:
    """A listening TCP socket. Raises BadInput where the address is taken, or isn't this machine's."""
    try:
        family, _, _, _, address = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)[0]
        # asyncio turns Nagle's algorithm off for sockets that say they are TCP's; else each answer waits 40 ms.
        made = sockets.socket(family, sockets.SOCK_STREAM, sockets.IPPROTO_TCP)
    except OSError as error:
        raise BadInput(f"there is no address '{host}' to listen on: {error}; give one of this machine") from error
    try:
        made.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(1024)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise BadInput(
            f"{host}:{port} can't be listened on: {error.strerror}; choose another with --port, or end what holds it"
        ) from error
    return made


def _config(app: ASGIApp, settings: ServeSettings, users: frozenset[int] | None) -> uvicorn.Config:
    tls = users is None and settings.certificate
    return uvicorn.Config(
        app,
        http=protocol(settings.bounds, users),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=None,
        timeout_keep_alive=60,
        backlog=1024,
        ssl_certfile=settings.certificate if tls else None,
        ssl_keyfile=settings.key or None if tls else None,
    )


class _Server(uvicorn.Server):
    """A server that is told to stop by an event: no signal handlers, no ticking while nothing happens."""

    def __init__(self, config: uvicorn.Config, grace: float) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stop = asyncio.Event()
        self.done = asyncio.Event()
        self._grace = grace

    async def run_on(self, listeners: list[sockets.socket]) -> None:
        """Serve until `stop` is set; `done` is set when every connection has ended, however that came."""
        try:
            await self.serve(listeners)
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
        left = list(self.server_state.tasks)
        if left:
            _, left = await asyncio.wait(left, timeout=_LAST)
        # Who still waits, waits for what only the next start may bring.
        for request in left:
            request.cancel()
        await asyncio.gather(*left, return_exceptions=True)
