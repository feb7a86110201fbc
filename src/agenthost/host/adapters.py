"""Which adapter fulfils which port: the one place that names them. Each is imported here and nowhere else."""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from agenthost.core.access import Accounts
from agenthost.core.api import ModelDetail, ModelLine
from agenthost.core.checks import Inspector
from agenthost.core.conversations import Conversations
from agenthost.core.erasure import Erasure
from agenthost.core.errors import BadInput, Permanent, Temporary, Unavailable
from agenthost.core.grants import Grants
from agenthost.core.importing import Imports
from agenthost.core.keeping import Keeping
from agenthost.core.models import Fitness
from agenthost.core.ports import Model, Models, Prober, Sandbox, Scripts, Secrets, Store, Tools, Workspaces
from agenthost.core.pushes import Pushes
from agenthost.core.sandboxes import Isolation
from agenthost.core.schedules import Schedules
from agenthost.core.shelf import Shelf
from agenthost.core.stock import Stock
from agenthost.core.webhooks import Webhooks
from agenthost.host.checking.inspector import HostInspector
from agenthost.host.outgoing import Addresses, Outgoing
from agenthost.host.schedules.remind import Remind
from agenthost.host.settings import Settings
from agenthost.machine.ledger import Ledger
from agenthost.sandboxes.admitted import Admitted
from agenthost.sandboxes.choice import BackEnd, Choice
from agenthost.sandboxes.docker.container import has_kernel
from agenthost.sandboxes.egress.rules import Refused
from agenthost.sandboxes.egress.way import Way
from agenthost.stores.blobs import FileBlobs
from agenthost.telemetry.figures import Figures
from agenthost.telemetry.sandboxes import Counted
from agenthost.telemetry.settings import propagated

if TYPE_CHECKING:
    from agenthost.stores.sqlite.store import SQLiteStore

Close = Callable[[], Awaitable[Any]]


class Adapters(Struct):
    """What fulfils the ports, and how to let go of it, in the order in which it was joined."""

    store: Store
    accounts: Accounts
    grants: Grants
    stock: Stock
    webhooks: Webhooks
    conversations: Conversations
    erasure: Erasure
    keeping: Keeping
    figures: Figures
    blobs: FileBlobs
    workspaces: Workspaces
    secrets: Secrets
    models: Models
    tools: Tools
    machine: Ledger
    sandbox: Choice
    prober: Prober
    inspector: Inspector
    scripts: Scripts
    list_models: Callable[[str], Awaitable[list[ModelLine]]]
    model_detail: Callable[[str], Awaitable[ModelDetail]]
    probe: Callable[[str, bool, int, Callable[[Model], Model]], AsyncIterator[str | Fitness]]
    pushes: Pushes
    shelf: Shelf
    schedules: Schedules
    imports: Imports
    remind: Remind
    outgoing: Outgoing
    let_go: Callable[[str, str], Awaitable[None]]
    stands_for: Callable[[str], Awaitable[str]]
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
    from agenthost.models.a2a.agents import RemoteAgents
    from agenthost.models.catalog import Catalog
    from agenthost.models.fitness.prober import Prober as FitnessProber
    from agenthost.models.fitness.store import FitnessFiles
    from agenthost.sandboxes.probes import HttpProber
    from agenthost.scripts.later import LaterScripts
    from agenthost.stores.home import HomeLock
    from agenthost.stores.secrets import FileSecrets
    from agenthost.stores.sqlite import SQLiteStore
    from agenthost.stores.workspaces import FolderWorkspaces
    from agenthost.tools.media import media_tools
    from agenthost.tools.registry import ToolRegistry
    from agenthost.tools.remote import keep_files

    home = settings.folder
    lock = HomeLock(home)
    lock.acquire()

    async def release() -> None:
        lock.release()

    try:
        media = media_tools(lambda name: models.abilities(name), asdict(settings.models.tools))
        tools = ToolRegistry(settings.tools, [*media, remind := Remind()], [keep_files()])
        figures = Figures()
        store = SQLiteStore(home / "agenthost.db", figures.committed)
        blobs = FileBlobs(home / "blobs")
        workspaces = FolderWorkspaces(home / "workspaces", blobs)
        secrets = FileSecrets(home)
        scripts = LaterScripts()
        seen = await look()
        machine = Ledger(seen.facts, capacity(settings.machine, seen))
        kept = FitnessFiles(home / "fitness")
        trace = propagated(settings.telemetry, os.environ)
        models = Catalog(
            settings.models,
            blobs.get,
            os.environ,
            secrets.get,
            kept,
            folder=home / "models",
            machine=machine,
            trace=trace,
        )
        way = Way(settings.network.private)
        remote = RemoteAgents(models, secrets.get, blobs, _addresses(way))
        outgoing = Outgoing(_addresses(way), trace)
        sandbox = _choice(settings, machine, way, secrets.get, figures)
        prober = HttpProber(sandbox)
    except BaseException:
        lock.release()
        raise
    closing: list[Close] = [
        release,
        store.close,
        blobs.close,
        workspaces.close,
        scripts.close,
        machine.close,
        way.close,
        models.close,
        remote.close,
        sandbox.close,
    ]
    return Adapters(
        store,
        *_tables(store),
        figures,
        blobs,
        workspaces,
        secrets,
        remote,
        tools,
        machine,
        sandbox,
        prober,
        HostInspector(_search, outgoing.fetch),
        scripts,
        models.lines,
        models.detail,
        FitnessProber(models, blobs.put, time.time).probe,
        *_given(store),
        remind,
        outgoing,
        remote.let_go,
        models.stands_for,
        closing,
    )


def _tables(store: "SQLiteStore") -> tuple[Accounts, Grants, Stock, Webhooks, Conversations, Erasure, Keeping]:
    """What is kept beside journals, in the store's own file, in the order of the fields."""
    from agenthost.stores.sqlite.accounts import SQLiteAccounts
    from agenthost.stores.sqlite.conversations import SQLiteConversations
    from agenthost.stores.sqlite.erasure import SQLiteErasure
    from agenthost.stores.sqlite.grants import SQLiteGrants
    from agenthost.stores.sqlite.keeping import SQLiteKeeping
    from agenthost.stores.sqlite.stock import SQLiteStock
    from agenthost.stores.sqlite.webhooks import SQLiteWebhooks

    return (
        SQLiteAccounts(store),
        SQLiteGrants(store),
        SQLiteStock(store),
        SQLiteWebhooks(store),
        SQLiteConversations(store),
        SQLiteErasure(store),
        SQLiteKeeping(store),
    )


def _given(store: "SQLiteStore") -> tuple[Pushes, Shelf, Schedules, Imports]:
    """What keeps things that clients give, what is run when, and what was done elsewhere."""
    from agenthost.stores.sqlite.imports import SQLiteImports
    from agenthost.stores.sqlite.pushes import SQLitePushes
    from agenthost.stores.sqlite.schedules import SQLiteSchedules
    from agenthost.stores.sqlite.shelf import SQLiteShelf

    return SQLitePushes(store), SQLiteShelf(store), SQLiteSchedules(store), SQLiteImports(store)


async def _search(pattern: str, text: bytes) -> bool:
    """Look for an expression in a process of its own, which ends where that takes too long."""
    from agenthost.sandboxes.patterns import Endless, found

    try:
        return await found(pattern, text)
    except Endless as problem:
        raise BadInput(str(problem)) from problem


def _addresses(way: Way) -> Addresses:
    """Where the host itself may go, by the rules that sandboxes have."""

    async def addresses(host: str, port: int) -> list[str]:
        try:
            return await way.addresses(host, port)
        except Refused as error:
            raise Permanent(str(error), code="refused") from error
        except OSError as error:
            raise Temporary(f"{host} can't be looked up: {error}", code="unreachable") from error

    return addresses


def _choice(
    settings: Settings, machine: Ledger, way: Way, secret: Callable[[str], Awaitable[str | None]], figures: Figures
) -> Choice:
    """All sandboxes, in the order in which they are preferred among equally strong ones. A new one is a line here."""

    def local(make: Callable[[Settings], Sandbox]) -> Callable[[], Sandbox]:
        return lambda: Counted(Admitted(make(settings), machine, machine.whole), figures)

    ends = [
        BackEnd("gvisor", "kernel", local(lambda settings: _gvisor(settings, way)), can=frozenset({"hosts"})),
        BackEnd("bubblewrap", "process", local(lambda settings: _bubblewrap(settings, way)), can=frozenset({"hosts"})),
        BackEnd(
            "docker",
            _docker_isolation(settings),
            local(lambda settings: _docker(settings, way)),
            can=frozenset({"images", "hosts"}),
        ),
        # Sends code to somebody else's machine: only where it is named. It takes nothing of this one.
        BackEnd("functions", "kernel", lambda: Counted(_functions(settings, secret), figures), alone=False),
    ]
    return Choice(ends, settings.sandbox.kind)


def _docker_isolation(settings: Settings) -> Isolation:
    return "kernel" if has_kernel(settings.sandbox.docker.runtime) else "process"


def _bubblewrap(settings: Settings, way: Way) -> Sandbox:
    from agenthost.sandboxes.bubblewrap import Bubblewrap

    return Bubblewrap(settings.folder / "cache", settings.folder / "workspaces", way=way)


def _docker(settings: Settings, way: Way) -> Sandbox:
    try:
        from agenthost.sandboxes.docker.sandbox import Docker
    except ImportError as problem:
        raise Unavailable("The sandbox docker needs a library. Run: pip install 'agenthost[docker]'") from problem
    home = hashlib.sha256(str(settings.folder.resolve()).encode()).hexdigest()[:16]
    return Docker(settings.sandbox.docker, settings.folder / "workspaces", home, way, settings.folder / "cache")


def _gvisor(settings: Settings, way: Way) -> Sandbox:
    from agenthost.sandboxes.gvisor.sandbox import Gvisor

    chosen, folder = settings.sandbox.gvisor, settings.folder
    return Gvisor(folder / "cache", folder / "workspaces", chosen.command, chosen.platform, chosen.rootfs, way)


def _functions(settings: Settings, secret: Callable[[str], Awaitable[str | None]]) -> Sandbox:
    from agenthost.host.posting import get, post
    from agenthost.sandboxes.functions.client import Functions

    async def look_up(name: str) -> str | None:
        return os.environ.get(name) or await secret(name)

    return Functions(settings.sandbox.functions, settings.folder / "workspaces", look_up, post, get)
