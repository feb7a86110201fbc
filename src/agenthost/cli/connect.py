"""A host to talk to: the one that runs, or one in this process."""

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from agenthost.cli.notify import managed, notify
from agenthost.core.access import Caller
from agenthost.core.administration import Administration
from agenthost.core.api import HostApi
from agenthost.core.conversations import Conversing
from agenthost.core.erasure import Deletion
from agenthost.core.errors import AgentHostError, HomeBusy, HostUnreachable
from agenthost.core.grants import OwnGrants
from agenthost.core.importing import Importing
from agenthost.core.schedules import OwnSchedules
from agenthost.core.spending import OwnBudgets
from agenthost.core.webhooks import OwnWebhooks

if TYPE_CHECKING:  # a verb that talks to a host that runs loads none
    from agenthost.faces.http.app import Face
    from agenthost.host.host import Host

SERVED_AFTER = 0.25
"""Seconds after which a host in the command's own process lets other terminals in: what is done sooner
doesn't pay for loading the server (0.1 s of CPU)."""

BUSY = 3.0
"""Seconds in which a home that is held by a host that doesn't answer may become free, or its host answer."""


HELD = 1200.0
"""Seconds for which a service waits for a home that a command holds: nobody would start it again where it ended."""


async def _never() -> bool:
    return False


async def _nothing() -> int:
    return 0


async def _at_once() -> None:
    return None


class Reached(Struct):
    """A host, and whether it lives in this process (and ends with it). `passing`: it ends with another command. `admin`:
    its people and keys; `webhooks`: one's own there; `grants`: approvals given for good; `deletion`: of tasks and people,
    for good; `schedules`: those that one sees; `budgets`: those that bound who asks; `conversations`: one's own; `importing`: of tasks that were done elsewhere.

    `recovered` returns when unfinished tasks go on, and raises what keeps them from it. `drain` takes no new work and
    waits, not for long, until what was begun is journalled: how many tasks had something left.
    `renew`: have another in the place of one that ended with its command, perhaps one in this process; False
    where it is not such a host.
    """

    api: HostApi
    own: bool
    passing: bool = False
    url: str = ""
    admin: Administration | None = None
    webhooks: OwnWebhooks | None = None
    grants: OwnGrants | None = None
    deletion: Deletion | None = None
    schedules: OwnSchedules | None = None
    budgets: OwnBudgets | None = None
    conversations: Conversing | None = None
    importing: Importing | None = None
    renew: Callable[[], Awaitable[bool]] = _never
    recovered: Callable[[], Awaitable[None]] = _at_once
    drain: Callable[[], Awaitable[int]] = _nothing


class Door(Protocol):
    """How a verb comes to a host."""

    @property
    def home(self) -> Path:
        """The home, as the options and the environment say."""
        ...

    def host(self, work: bool = False) -> AbstractAsyncContextManager[Reached]:
        """A host. `work`: one in this process takes up unfinished tasks; else it only reads and writes."""
        ...

    def serve(self, host: str | None = None, port: int | None = None) -> AbstractAsyncContextManager[Reached]:
        """A host in this process that others reach, also over a port, for as long as this is open."""
        ...


class HomeDoor:
    """The door of the command: by AGENTHOST_URL, by the home's socket, or by opening the home itself."""

    def __init__(self, home: str | None) -> None:
        from agenthost.host.settings import load

        self._settings = load(home=Path(home) if home else None)

    @property
    def home(self) -> Path:
        return self._settings.folder

    @asynccontextmanager
    async def host(self, work: bool = False) -> AsyncGenerator[Reached]:
        reached = await self._reach(work)
        reached.renew = lambda: self._renew(reached)
        try:
            async with _served_beside(reached, self._socket) if work else nullcontext():
                yield reached
        finally:
            await reached.api.close()

    async def _renew(self, reached: Reached) -> bool:
        if not reached.passing:
            return False
        await reached.api.close()
        found = await self._reach(True)
        reached.api, reached.own, reached.passing, reached.admin = found.api, found.own, found.passing, found.admin
        reached.webhooks, reached.grants = found.webhooks, found.grants
        reached.deletion, reached.schedules = found.deletion, found.schedules
        reached.budgets, reached.conversations = found.budgets, found.conversations
        return True

    @asynccontextmanager
    async def serve(self, host: str | None = None, port: int | None = None) -> AsyncGenerator[Reached]:
        api = await self._hold()
        try:
            from agenthost.cli.beside import beside
            from agenthost.cli.serving import Listening, served

            async with (
                served(api, self._socket, Listening(host, port)) as url,
                beside(api, self._socket, url),
            ):
                reached = _reached(api)
                reached.url, reached.recovered, reached.drain = url, api.recovered, api.drain
                yield reached
        finally:
            await api.close()

    async def _reach(self, work: bool) -> Reached:
        """The host that runs, or one in this process."""
        deadline = asyncio.get_running_loop().time() + BUSY
        while True:
            running = await self._running()
            if running is not None:
                return running
            try:
                return _reached(await self._open(work))
            except HomeBusy:
                # Another process has just opened the home, or is about to let it go.
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.1)

    async def _hold(self) -> "Host":
        """A host in this process that others will reach. Raises HomeBusy where one answers already."""
        loop = asyncio.get_running_loop()
        began, told = loop.time(), False
        while True:
            try:
                return await self._open(True, serving=True)
            except HomeBusy:
                running = await self._running() if self._socket.exists() else None
                if running is not None:
                    await running.api.close()
                long = loop.time() - began > BUSY
                waits = managed() and loop.time() - began < HELD and (running is None or running.passing)
                if not waits and (long or running is not None):
                    raise
                if long and not told:
                    told = True
                    notify("STATUS=waiting for the home, which another process holds")
            await asyncio.sleep(0.1)

    @property
    def _socket(self) -> Path:
        return self.home / "host.sock"

    async def _open(self, work: bool, serving: bool = False) -> "Host":
        from agenthost.host.host import open_host

        return await open_host(self._settings, work=work, serving=serving)

    async def _running(self) -> Reached | None:
        named = bool(os.environ.get("AGENTHOST_URL", "").strip())
        if not named and not self._socket.exists():
            return None
        from agenthost.client.client import Timing, connect

        client = connect(self.home, os.environ)
        try:
            passing = not (await client.info()).serving
        except HostUnreachable:
            await client.close()
            if named:
                raise
            return None
        except BaseException:
            await client.close()
            raise
        if passing:
            # It won't be started again, so that there is nothing to wait for when it has gone.
            await client.close()
            client = connect(self.home, os.environ, Timing(absent=0.0))
        theirs = client.admin(), client.webhooks(), client.grants(), client.deletion(), client.schedules()
        more = client.budgets(), client.conversations(), client.importing()
        return Reached(client, False, passing and not named, "", *theirs, *more)


def _reached(host: "Host") -> Reached:
    owner = Caller()
    theirs = (
        host.admin(owner),
        host.webhooks.of(owner, host),
        host.grants.of(owner),
        host.erasure.of(owner, host),
        host.schedules.of(owner, host),
        host.budgets.of(owner, host),
        host.conversing,
        host.importing.of(owner),
    )
    return Reached(host, True, False, "", *theirs)


@asynccontextmanager
async def _served_beside(reached: Reached, socket: Path) -> AsyncGenerator[None]:
    """Serve a host that lives in this process while the context is open, and never in the way of it."""
    from agenthost.faces.http.grouped import grouped

    async with grouped() as group:
        serving = group.create_task(_serve_later(reached, socket))
        try:
            yield
        finally:
            serving.cancel()


async def _serve_later(reached: Reached, socket: Path) -> None:
    await asyncio.sleep(SERVED_AFTER)
    while not reached.own:
        if not reached.passing:
            return
        await asyncio.sleep(SERVED_AFTER)
    server = await asyncio.to_thread(importlib.import_module, "agenthost.faces.http.server")
    try:
        offer = server.Offer(server.Everybody(reached.api, reached.admin), faces=_desks(reached.api))
        async with server.serve(reached.api, socket, None, offer):
            await asyncio.Event().wait()
    except AgentHostError as error:
        # The work itself needs no socket.
        import structlog

        structlog.get_logger(__name__).warning("other terminals can't reach this host", error=error.message)


def _desks(api: HostApi) -> "list[Face]":
    """What of a host in this process is served besides what every host has."""
    from agenthost.cli.faces import desks
    from agenthost.host.host import Host

    return [desks(api)] if isinstance(api, Host) else []
