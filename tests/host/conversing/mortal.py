"""Hosts that die: at any write of theirs and at any call of a model, before it and after it.

A crash freezes the life that it happens in (nothing of it reaches a store or a model any more), drops everything that it had in
memory, and a new host is opened over what the stores hold.
"""

import asyncio
import random
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.host import adapters as joining
from agenthost.host.adapters import Adapters
from agenthost.host.host import Host
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_blobs import MemoryBlobs
from agenthost.stores.memory_conversations import MemoryConversations
from agenthost.stores.memory_erasure import MemoryErasure
from agenthost.stores.memory_grants import MemoryGrants
from agenthost.stores.memory_keeping import MemoryKeeping
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.memory_schedules import MemorySchedules
from agenthost.stores.memory_shelf import MemoryShelf
from agenthost.stores.memory_stock import MemoryStock
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.world import START, Lines, MemoryWorkspaces, PlayedModels

T = TypeVar("T")

WRITES = {
    "store": frozenset({"create", "claim", "append", "put", "hold"}),
    "conversations": frozenset({"add", "change", "shown", "tell"}),
}
"""Where a host may die."""

Saw = Callable[[str, tuple[Any, ...], Any], None]
"""Told of every write that was made: its name, what was given, what came of it."""


class Life:
    """One life of a host: from its start to a crash."""

    def __init__(self, crash_at: int | None) -> None:
        self.crash_at = crash_at
        self.points = 0
        self.crashed = asyncio.Event()
        self.buried = False
        self.landing: set[asyncio.Future[Any]] = set()

    async def point(self) -> None:
        """A place where the host may die."""
        if not self.crashed.is_set():
            self.points += 1
            if self.points == self.crash_at:
                self.crashed.set()
        if self.crashed.is_set():
            await self.freeze()

    async def freeze(self) -> None:
        """Whoever comes here after the crash goes no further."""
        if self.buried:
            raise asyncio.CancelledError
        await asyncio.Event().wait()


class MortalPort:
    """A store's port as one life sees it."""

    def __init__(self, kept: Any, life: Life, writes: frozenset[str], saw: Saw) -> None:
        self._kept = kept
        self._life = life
        self._writes = writes
        self._saw = saw

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._kept, name)
        if name not in self._writes:
            return method

        async def call(*args: Any, **more: Any) -> Any:
            life = self._life
            await life.point()
            # What a store was given before the crash may still land, and then it is there for the next life.
            landing = asyncio.get_running_loop().create_task(method(*args, **more))
            life.landing.add(landing)
            result = await asyncio.shield(landing)
            life.landing.discard(landing)
            self._saw(name, args, result)
            await life.point()
            return result

        return call


class Kept:
    """What outlives a host: its stores. `kind` is `memory` or `sqlite`."""

    def __init__(self, base: Adapters, kind: str, folder: Path, template: Path) -> None:
        self._base = base
        self._file = folder / "agenthost.db"
        self._kind = kind
        self._folders: dict[str, dict[str, bytes]] = {}
        self.blobs = MemoryBlobs()
        self._joined = _in_memory(self.blobs) if kind == "memory" else {}
        if kind == "sqlite":
            shutil.copy(template, self._file)

    def adapters(self, life: Life, models: Any, saw: Saw) -> Adapters:
        """The ports as a new life has them."""
        ports, closing = self._joined, []
        if self._kind == "sqlite":
            store = SQLiteStore(self._file)
            ports, closing = _in_sqlite(store, self.blobs), [store.close]
        ports = {
            name: MortalPort(port, life, WRITES[name], saw) if name in WRITES else port for name, port in ports.items()
        }
        workspaces: Any = MemoryWorkspaces(self.blobs, self._folders)
        return replace(self._base, **ports, workspaces=workspaces, models=models, closing=closing)


def _in_memory(blobs: MemoryBlobs) -> dict[str, Any]:
    store = MemoryStore()
    accounts = MemoryAccounts(store)
    grants, webhooks, conversations = MemoryGrants(), MemoryWebhooks(store), MemoryConversations(store)
    keeping, pushes, schedules, shelf = MemoryKeeping(store), MemoryPushes(), MemorySchedules(), MemoryShelf()
    erasure = MemoryErasure(store, accounts, pushes, webhooks, shelf, keeping, conversations, schedules)
    return {
        "store": store,
        "accounts": accounts,
        "grants": grants,
        "stock": MemoryStock(store, accounts),
        "webhooks": webhooks,
        "conversations": conversations,
        "erasure": erasure,
        "keeping": keeping,
        "pushes": pushes,
        "schedules": schedules,
        "shelf": shelf,
        "blobs": blobs,
    }


def _in_sqlite(store: SQLiteStore, blobs: MemoryBlobs) -> dict[str, Any]:
    names = ("accounts", "grants", "stock", "webhooks", "conversations", "erasure", "keeping")
    tables = joining._tables(store)  # pyright: ignore[reportPrivateUsage]
    given = joining._given(store)  # pyright: ignore[reportPrivateUsage]
    return {
        "store": store,
        **dict(zip(names, tables, strict=True)),
        **dict(zip(("pushes", "shelf", "schedules", "imports"), given, strict=True)),
        "blobs": blobs,
    }


class Grave:
    """Opens hosts one after the other over what is kept, each until its crash."""

    def __init__(
        self, kept: Kept, settings: Any, play: Callable[[ModelRequest], Awaitable[ModelAnswer]], saw: Saw
    ) -> None:
        self._kept = kept
        self._settings = settings
        self._play = play
        self._saw = saw
        self.log = Lines()
        self.points = 0
        self.crashes = 0

    async def live(self, crash_at: int | None, do: Callable[[Host, Life], Coroutine[Any, Any, T]]) -> T | None:
        """One life; what came of `do`, or None where it was cut off by a crash."""
        life = Life(crash_at)
        adapters = self._kept.adapters(life, PlayedModels({"default": self._model(life)}), self._saw)
        host = Host(self._settings, adapters, self.log)
        work = asyncio.get_running_loop().create_task(self._work(host, life, do))
        crash = asyncio.get_running_loop().create_task(life.crashed.wait())
        try:
            await asyncio.wait({work, crash}, return_when=asyncio.FIRST_COMPLETED)
            over = work.done() and not life.crashed.is_set()
        finally:
            life.crashed.set()
            life.buried = True
            await asyncio.gather(*life.landing, return_exceptions=True)
            await _end_all()
            await host.engine.services.supervisor.close()
            await _end_all()
            await adapters.close()
        self.points += life.points
        self.crashes += not over
        return work.result() if over else None

    async def _work(self, host: Host, life: Life, do: Callable[[Host, Life], Coroutine[Any, Any, T]]) -> T:
        await host.open(work=True)
        return await do(host, life)

    def _model(self, life: Life) -> Callable[[ModelRequest], Any]:
        async def answer(request: ModelRequest) -> ModelAnswer:
            await life.point()
            answer = await self._play(request)
            await life.point()
            return answer

        return answer


async def _end_all() -> None:
    """End whatever still runs of a life, senders and listeners too: their process is gone, or their connection."""
    while rest := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@contextmanager
def fixed(seed: int) -> Generator[None]:
    """Time by the running loop, and chance by a seed: so that an example is the same however often it is lived through."""
    draw = random.Random(seed)
    real = time.time, secrets.randbits, secrets.token_hex

    def now() -> float:
        try:
            return START + asyncio.get_running_loop().time()
        except RuntimeError:
            return real[0]()

    time.time, secrets.randbits = now, draw.getrandbits
    secrets.token_hex = lambda count=16: draw.randbytes(count or 16).hex()
    try:
        yield
    finally:
        time.time, secrets.randbits, secrets.token_hex = real
