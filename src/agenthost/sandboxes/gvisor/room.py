"""A container with our first process in it, and which workspace it belongs to."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from agenthost.core.errors import Temporary
from agenthost.core.sandboxes import SandboxOutcome, SandboxRun
from agenthost.sandboxes.attached.channel import Link
from agenthost.sandboxes.gvisor.container import Container
from agenthost.sandboxes.gvisor.sync import Twin
from agenthost.sandboxes.gvisor.visit import Visit
from agenthost.sandboxes.inside.frames import Channel, Handler
from agenthost.sandboxes.station import NotStarted

_START_SECONDS = 20.0
_END_SECONDS = 3.0


class Room:
    """Started at once, ready when it says so: a room that waits costs nobody time."""

    def __init__(self, name: str, kind: tuple[str, int], container: Container, forget: Callable[[str], None]) -> None:
        self.name = name
        self.kind = kind
        self.workspace = ""
        self.busy = False
        self._container = container
        self._forget = forget
        self._twin = Twin()
        self._hello: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._link = Link(container, self._opened)
        self._link.start()

    @property
    def alive(self) -> bool:
        return self._link.alive

    async def ready(self) -> None:
        """Wait until it can run something. Raises NotStarted with what runsc or the room said."""
        await asyncio.wait([self._hello, self._link.ended], timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._hello.done():
            await asyncio.wait([self._container.gone], timeout=1.0)
            why = self._container.said or "the container didn't answer"
            await self.close()
            raise NotStarted(why)
        if problem := self._hello.result():
            await self.close()
            raise NotStarted(problem)

    def _opened(self, channel: Channel, body: bytes) -> Handler:
        if not self._hello.done():
            told = json.loads(body)
            self._hello.set_result(str(told.get("problem", "no greeting")))
        return Handler()

    async def run(self, run: SandboxRun, request: dict[str, object], folder: Path) -> SandboxOutcome:
        """One run in the workspace that this room belongs to. A room that is lost or cancelled is closed."""
        policy = run.policy
        files = await asyncio.to_thread(lambda: list(self._twin.outgoing(folder)))
        size = sum(len(content) for _, content in files)
        visit = Visit(policy.output, 4 * policy.disk + size)
        try:
            visit.begin(self._link, request, run.stdin, files)
            outcome = await visit.outcome(policy.timeout)
        except BaseException:
            # whatever it was doing ends with the container, and nobody goes on before that
            await asyncio.shield(self.close())
            raise
        await asyncio.to_thread(self._twin.take_in, folder, visit.changes)
        return outcome

    async def close(self) -> None:
        """End the container and stay until it is gone, however often we are cancelled."""
        self._link.end("closed")
        done, _ = await asyncio.wait([self._container.gone], timeout=_END_SECONDS)
        if not done:
            self._container.kill()
            await asyncio.wait([self._container.gone], timeout=_END_SECONDS)
        self._forget(self.name)


def lost(problem: NotStarted) -> Temporary:
    """A container that didn't start although others did."""
    return Temporary(f"A container did not start: {problem}", code="sandbox")
