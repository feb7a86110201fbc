"""A host to talk to: the one that runs, or one in this process."""

import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from agenthost.core.api import HostApi
from agenthost.core.errors import HostUnreachable


class Reached(Struct, frozen=True):
    """A host, and whether it lives in this process (and ends with it)."""

    api: HostApi
    own: bool


class Door(Protocol):
    """How a verb comes to a host."""

    @property
    def home(self) -> Path:
        """The home, as the options and the environment say."""
        ...

    def host(self, work: bool = False) -> AbstractAsyncContextManager[Reached]:
        """A host. `work`: one in this process takes up unfinished tasks; else it only reads and writes."""
        ...

    def serve(self) -> AbstractAsyncContextManager[Reached]:
        """A host in this process that other processes reach, for as long as this is open."""
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
        running = await self._running()
        api: HostApi = await self._open(work) if running is None else running
        try:
            yield Reached(api, running is None)
        finally:
            await api.close()

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[Reached]:
        api: HostApi = await self._open(True)
        try:
            from agenthost.faces.http.server import serve

            async with serve(api, self._socket):
                yield Reached(api, True)
        finally:
            await api.close()

    @property
    def _socket(self) -> Path:
        return self.home / "host.sock"

    async def _open(self, work: bool) -> HostApi:
        from agenthost.host.host import open_host

        return await open_host(self._settings, work=work)

    async def _running(self) -> HostApi | None:
        named = bool(os.environ.get("AGENTHOST_URL", "").strip())
        if not named and not self._socket.exists():
            return None
        from agenthost.client.client import connect

        client = connect(self.home, os.environ)
        try:
            await client.info()
        except HostUnreachable:
            await client.close()
            if named:
                raise
            return None
        return client
