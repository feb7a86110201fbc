"""A run that goes on and serves ports, in a room of its own."""

import asyncio
from collections.abc import Callable

from agenthost.core.ports import Connection
from agenthost.core.sandboxes import SandboxOutcome, SandboxRun
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.surely import surely


class Service:
    """The port `core.ports.SandboxService`. What it writes to the workspace comes when it has ended."""

    def __init__(self, room: Room, outcome: "asyncio.Task[SandboxOutcome]") -> None:
        self._room = room
        self._outcome = outcome

    @classmethod
    async def begin(
        cls, room: Room, run: SandboxRun, egress: Egress | None, over: "Callable[[Service], None]"
    ) -> "Service":
        """Start it in a room that is its own from now on; `over` hears of its end. Raises what keeps it from running."""
        begun = asyncio.Event()
        outcome = asyncio.get_running_loop().create_task(_serve(room, run, egress, begun))
        outcome.add_done_callback(_seen)
        waiting = asyncio.get_running_loop().create_task(begun.wait())
        try:
            await asyncio.wait([outcome, waiting], return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await surely(_gone(room, outcome))
            raise
        finally:
            waiting.cancel()
        if not begun.is_set():
            outcome.result()
        service = cls(room, outcome)
        outcome.add_done_callback(lambda _: over(service))
        return service

    async def connect(self, port: int) -> Connection:
        return await self._room.connect(port)

    async def wait(self) -> SandboxOutcome:
        return await asyncio.shield(self._outcome)

    async def stop(self) -> SandboxOutcome:
        self._room.kill()
        return await self.wait()

    async def end(self) -> None:
        """Stop it, whatever comes of it; where it can't be told to end, its room is destroyed under it."""
        told = False
        try:
            self._room.kill()
            told = True
        finally:
            if not told:
                await self._room.close()
            await asyncio.wait([self._outcome])


async def _gone(room: Room, outcome: "asyncio.Task[SandboxOutcome]") -> None:
    outcome.cancel()
    await asyncio.wait([outcome])
    await room.close()  # where it was cancelled before it began


async def _serve(room: Room, run: SandboxRun, egress: Egress | None, begun: asyncio.Event) -> SandboxOutcome:
    try:
        return await room.run(run, egress, begun.set)
    finally:
        await room.close()


def _seen(outcome: "asyncio.Task[SandboxOutcome]") -> None:
    """What went wrong is told to who waits; nobody need wait."""
    if not outcome.cancelled():
        outcome.exception()
