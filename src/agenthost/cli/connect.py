"""A host to talk to: the one that runs, or one in this process."""

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from agenthost.core.api import HostApi


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


class HomeDoor:
    """The door of the command: by AGENTHOST_URL, by the home's socket, or by opening the home itself."""

    def __init__(self, home: str | None) -> None:
        self._settings: Any = importlib.import_module("agenthost.host.settings").load(home=home)

    @property
    def home(self) -> Path:
        return Path(self._settings.home)

    @asynccontextmanager
    async def host(self, work: bool = False) -> AsyncIterator[Reached]:
        client: Any = importlib.import_module("agenthost.client")
        url = os.environ.get("AGENTHOST_URL", "")
        socket = self.home / "host.sock"
        running = await client.reach(url=url, socket=socket)
        own = running is None
        api: HostApi = (
            await importlib.import_module("agenthost.host.host").open_host(self._settings, work=work)
            if running is None
            else running
        )
        try:
            yield Reached(api, own)
        finally:
            await api.close()
