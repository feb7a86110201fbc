"""Rooms that wait to be wanted, and rooms that a workspace has. A room never serves a second workspace."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Struct

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.sandboxes.attached.room import Room


class Size(Struct, frozen=True):
    """What a room is made for: memory and disk in bytes, cores, processes, image (empty: the default one), packages."""

    memory: int
    cpu: float
    processes: int
    disk: int
    image: str = ""
    packages: tuple[str, ...] = ()


def size_of(policy: SandboxPolicy) -> Size:
    """The room that a policy needs."""
    return Size(policy.memory, policy.cpu, policy.processes, policy.disk, policy.image, policy.packages)


class PoolSettings(Struct, frozen=True):
    """`warm` rooms of the size `usual` wait; one that a workspace has is given up after `idle` seconds, or when
    there are more than `most`, the one used longest ago first."""

    usual: Size
    warm: int = 2
    idle: float = 300.0
    most: int = 32


class Held:
    """A workspace's room, from `take` to `give_back`."""

    def __init__(self, key: tuple[str, Size], room: Room) -> None:
        self.key = key
        self.room = room
        self.users = 0
        self.idle: asyncio.TimerHandle | None = None


class Pool:
    """`make` makes a room. Use it from one loop."""

    def __init__(self, make: Callable[[Size], Awaitable[Room]], settings: PoolSettings) -> None:
        self._make = make
        self._settings = settings
        self._warm: list[Room] = []
        self._held: dict[tuple[str, Size], Held] = {}
        self._locks: dict[tuple[str, Size], asyncio.Lock] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._making = 0
        self._closed = False

    async def take(self, workspace: str, size: Size) -> Held:
        """The workspace's own room, from now on until `give_back`. Raises what `make` does."""
        key = (workspace, size)
        async with self._locks.setdefault(key, asyncio.Lock()):
            held = self._held.get(key)
            if held is None or not held.room.alive:
                if held is not None:
                    self._let_go(held)
                held = Held(key, await self.fresh(size))
                self._held[key] = held
            held.users += 1
        if held.idle is not None:
            held.idle.cancel()
            held.idle = None
        return held

    def give_back(self, held: Held) -> None:
        """It isn't used for now."""
        held.users -= 1
        if self._held.get(held.key) is held and not held.users:
            self._held[held.key] = self._held.pop(held.key)  # the newest is the last
            held.idle = asyncio.get_running_loop().call_later(self._settings.idle, self._let_go, held)
            if not held.room.alive:
                self._let_go(held)
        unused = [held for held in self._held.values() if not held.users]
        for each in unused[: max(len(self._held) - self._settings.most, 0)]:
            self._let_go(each)
        self.refill()

    async def fresh(self, size: Size) -> Room:
        """A room that nobody had, which is the caller's to close."""
        if self._closed:
            raise Unavailable("This sandbox is closed.")
        while size == self._settings.usual and self._warm:
            room = self._warm.pop()
            if room.alive:
                return room
            self._do(_close(room))
        making = asyncio.get_running_loop().create_task(self._made(size))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            # What is half made can't be given up: an engine may have it already. It waits for the next, or is destroyed.
            self._do(self._adopt(making, size))
            raise

    async def _made(self, size: Size) -> Room:
        return await self._make(size)

    async def _adopt(self, making: asyncio.Task[Room], size: Size) -> None:
        try:
            room = await making
        except AgentHostError:
            return  # nobody wants it any more
        await self._keep(room, size)

    async def _keep(self, room: Room, size: Size) -> None:
        """Let a room that nobody had wait, where it is worth that."""
        if self._closed or size != self._settings.usual or len(self._warm) >= self._settings.warm:
            await room.close()
        else:
            self._warm.insert(0, room)

    def refill(self) -> None:
        """Have rooms made ready. After a run and not during it."""
        while not self._closed and len(self._warm) + self._making < self._settings.warm:
            self._making += 1
            self._do(self._make_warm())

    async def _make_warm(self) -> None:
        try:
            room = await self._make(self._settings.usual)
        except AgentHostError:
            return  # whoever wants one is told
        finally:
            self._making -= 1
        await self._keep(room, self._settings.usual)

    def release(self, workspace: str) -> None:
        """Destroy what was kept for a workspace."""
        for held in [held for held in self._held.values() if held.key[0] == workspace]:
            self._let_go(held)
        for key in [key for key, lock in self._locks.items() if key[0] == workspace and not lock.locked()]:
            del self._locks[key]  # of rooms that couldn't be made

    def _let_go(self, held: Held) -> None:
        if self._held.get(held.key) is held:
            del self._held[held.key]
            if not self._locks[held.key].locked():
                del self._locks[held.key]
        if held.idle is not None:
            held.idle.cancel()
            held.idle = None
        self._do(_close(held.room))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def close(self) -> None:
        """Destroy every room, and wait until they are gone."""
        self._closed = True
        for held in list(self._held.values()):
            self._let_go(held)
        while self._warm:
            self._do(_close(self._warm.pop()))
        while self._work:
            await asyncio.wait(self._work)


async def _close(room: Room) -> None:
    await room.close()
