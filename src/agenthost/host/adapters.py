"""Which adapter fulfils which port: the one place that names them. Each is imported here and nowhere else."""

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from agenthost.core.api import ModelLine
from agenthost.core.errors import NotFound
from agenthost.core.ports import Blobs, Machine, Models, Sandbox, Scripts, Secrets, Store, Tools, Workspaces
from agenthost.host.settings import Settings
from agenthost.machine.ledger import Ledger

Close = Callable[[], Awaitable[Any]]


class Adapters(Struct):
    """What fulfils the ports, and how to let go of it, in the order in which it was joined."""

    store: Store
    blobs: Blobs
    workspaces: Workspaces
    secrets: Secrets
    models: Models
    tools: Tools
    machine: Machine
    sandbox: Sandbox
    scripts: Scripts
    list_models: Callable[[], Awaitable[list[ModelLine]]]
    closing: list[Close]

    async def close(self) -> None:
        """Let go of everything, the last joined first; what fails doesn't keep the rest."""
        async with AsyncExitStack() as stack:
            for close in self.closing:
                stack.push_async_callback(close)


async def join(settings: Settings) -> Adapters:
    """Join the adapters that the settings name. Holds the home; raises HomeBusy where another host does."""
    from agenthost.machine.facts import look
    from agenthost.machine.shares import capacity
    from agenthost.models.catalog import Catalog
    from agenthost.scripts.monty import MontyScripts
    from agenthost.stores.blobs import FileBlobs
    from agenthost.stores.home import HomeLock
    from agenthost.stores.secrets import FileSecrets
    from agenthost.stores.sqlite import SQLiteStore
    from agenthost.stores.workspaces import FolderWorkspaces
    from agenthost.tools.media import media_tools
    from agenthost.tools.registry import ToolRegistry

    home = settings.folder
    lock = HomeLock(home)
    lock.acquire()

    async def release() -> None:
        lock.release()

    try:
        media = media_tools(lambda name: models.abilities(name), asdict(settings.models.tools))
        tools = ToolRegistry(settings.tools, media)
        store = SQLiteStore(home / "agenthost.db")
        blobs = FileBlobs(home / "blobs")
        workspaces = FolderWorkspaces(home / "workspaces", blobs)
        secrets = FileSecrets(home)
        models = Catalog(settings.models, read=blobs.get, environ=os.environ, secret=secrets.get)
        scripts = MontyScripts()
        seen = await look()
        machine = Ledger(seen.facts, capacity(settings.machine, seen))
        sandbox = _sandbox(settings, machine)
    except BaseException:
        lock.release()
        raise
    closing: list[Close] = [
        release,
        store.close,
        blobs.close,
        workspaces.close,
        models.close,
        scripts.close,
        machine.close,
        sandbox.close,
    ]
    return Adapters(store, blobs, workspaces, secrets, models, tools, machine, sandbox, scripts, models.lines, closing)


def _sandbox(settings: Settings, machine: Ledger) -> Sandbox:
    kind = settings.sandbox.kind
    if kind == "bubblewrap":
        from agenthost.sandboxes.admitted import Admitted
        from agenthost.sandboxes.bubblewrap import Bubblewrap

        inner = Bubblewrap(settings.folder / "cache", settings.folder / "workspaces")
        return Admitted(inner, machine, machine.whole)
    raise NotFound(f"there is no sandbox '{kind}'; agenthost.toml may say: [sandbox] kind = \"bubblewrap\"")
