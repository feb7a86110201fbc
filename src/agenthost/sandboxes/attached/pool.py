"""Rooms that wait to be wanted, and rooms that a workspace has. A room never serves a second workspace."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import Struct

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.surely import surely

T = TypeVar("T")

_CLOSED = "This sandbox is closed."


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


class _Taking:
    """Those who want one room now: one of them has it made, the others wait for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.count = 0


class Pool:
    """`make` makes a room. Use it from one loop."""

    def __init__(self, make: Callable[[Size], Awaitable[Room]], settings: PoolSettings) -> None:
        self._make = make
        self._settings = settings
        self._warm: list[Room] = []
        self._held: dict[tuple[str, Size], Held] = {}
        self._taking: dict[tuple[str, Size], _Taking] = {}
        self._fresh: set[Room] = set()  # made, and not yet with whoever wanted it
        self._work: set[asyncio.Task[Any]] = set()
        self._making = 0
        self._closed = False

    async def take(self, workspace: str, size: Size) -> Held:
        """The workspace's own room, from now on until `give_back`. Raises what `make` does, and Unavailable once this is
        closed. Where the workspace is released meanwhile, the room serves this one run and is kept for no other."""
        key = (workspace, size)
        taking = self._taking.setdefault(key, _Taking())
        taking.count += 1
        try:
            async with taking.lock:
                held = self._held.get(key) if self._taking.get(key) is taking else None
                if held is None or not held.room.alive:
                    if held is not None:
                        self._let_go(held)
                    held = Held(key, await self.fresh(size))
                    if self._taking.get(key) is taking:
                        self._held[key] = held
                held.users += 1
        finally:
            taking.count -= 1
            if not taking.count and self._taking.get(key) is taking:
                del self._taking[key]
        if held.idle is not None:
            held.idle.cancel()
            held.idle = None
        return held

    def give_back(self, held: Held) -> None:
        """It isn't used for now."""
        held.users -= 1
        if not held.users:
            if self._held.get(held.key) is held and held.room.alive:
                self._held[held.key] = self._held.pop(held.key)  # the newest is the last
                held.idle = asyncio.get_running_loop().call_later(self._settings.idle, self._let_go, held)
            else:
                self._let_go(held)
        unused = [held for held in self._held.values() if not held.users]
        for each in unused[: max(len(self._held) - self._settings.most, 0)]:
            self._let_go(each)
        self.refill()

    async def fresh(self, size: Size) -> Room:
        """A room that nobody had, which is the caller's to close."""
        if self._closed:
            raise Unavailable(_CLOSED)
        while size == self._settings.usual and self._warm:
            room = self._warm.pop()
            if room.alive:
                return room
            self._destroy(room)
        making = self._do(self._made(size))
        try:
            room = await asyncio.shield(making)
        except asyncio.CancelledError:
            # What is half made can't be given up: an engine may have it already. It waits for the next, or is destroyed.
            self._do(self._adopt(making, size))
            raise
        self._fresh.discard(room)
        if self._closed:
            raise Unavailable(_CLOSED)
        return room

    async def _made(self, size: Size) -> Room:
        room = await self._make(size)
        room.hung_up.add_done_callback(lambda _: self._died(room))
        if self._closed:
            await _close(room)
            raise Unavailable(_CLOSED)
        self._fresh.add(room)
        return room

    def _died(self, room: Room) -> None:
        """What nobody uses is destroyed at once; what somebody uses, by whoever does."""
        if room in self._warm:
            self._warm.remove(room)
            self._destroy(room)
        for held in [held for held in self._held.values() if held.room is room and not held.users]:
            self._let_go(held)

    async def _adopt(self, making: asyncio.Task[Room], size: Size) -> None:
        try:
            room = await making
        except AgentHostError:
            return  # nobody wants it any more
        await self._keep(room, size)

    async def _keep(self, room: Room, size: Size) -> None:
        """Let a room that nobody had wait, where it is worth that."""
        self._fresh.discard(room)
        full = len(self._warm) >= self._settings.warm
        if self._closed or not room.alive or size != self._settings.usual or full:
            await _close(room)
        else:
            self._warm.insert(0, room)

    def refill(self) -> None:
        """Have rooms made ready. After a run and not during it."""
        while not self._closed and len(self._warm) + self._making < self._settings.warm:
            self._making += 1
            self._do(self._make_warm())

    async def _make_warm(self) -> None:
        try:
            room = await self._made(self._settings.usual)
        except AgentHostError:
            return  # whoever wants one is told
        finally:
            self._making -= 1
        await self._keep(room, self._settings.usual)

    async def release(self, workspace: str) -> None:
        """Destroy what was kept for a workspace. It is gone when this returns, also when cancelled."""
        for key in [key for key in self._taking if key[0] == workspace]:
            del self._taking[key]  # what is being made is not kept
        ending = [self._let_go(held) for held in list(self._held.values()) if held.key[0] == workspace]
        if ending:
            await surely(asyncio.wait(ending))

    def _let_go(self, held: Held) -> asyncio.Task[None]:
        if self._held.get(held.key) is held:
            del self._held[held.key]
        if held.idle is not None:
            held.idle.cancel()
            held.idle = None
        return self._destroy(held.room)

    def _destroy(self, room: Room) -> asyncio.Task[None]:
        return self._do(_close(room))

    def _do(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # seen: it is told to whoever waits, and nobody need

    async def close(self) -> None:
        """Destroy every room, and wait until they are gone."""
        self._closed = True
        for held in list(self._held.values()):
            self._let_go(held)
        for room in (*self._warm, *self._fresh):
            self._destroy(room)
        self._warm.clear()
        while self._work:
            await asyncio.wait(self._work)


async def _close(room: Room) -> None:
    # Nobody can do anything about one that can't be destroyed; makers look for such ones when they begin.
    with suppress(AgentHostError, OSError):
        await room.close()
