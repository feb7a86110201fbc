"""The port `core.ports.Sandbox` over rooms, whatever makes them."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.ports import SandboxService, silent
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.attached.pool import Pool, PoolSettings, Size
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.attached.service import Service
from agenthost.sandboxes.checks import check_limits, check_run, place
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.layers import normal
from agenthost.sandboxes.surely import surely


class Maker(Protocol):
    """What makes rooms: an engine of containers, or a runtime."""

    name: str
    isolation: Isolation
    processes: int
    """The fewest processes that a run here needs."""
    certificates: str
    """Where rooms have the certificates that are trusted; empty where Python finds them by itself."""

    def usual(self) -> Size:
        """The rooms that are worth having ready."""
        ...

    async def missing(self) -> Availability | None:
        """What is missing for certain, or None."""
        ...

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> Size:
        """Have what rooms for the policy need (image, packages), and say which ones those are. Raises Unavailable for
        what the policy wants and this can't give, and Permanent (`packages`)."""
        ...

    async def make(self, size: Size) -> Room:
        """A new room, ready. Raises Unavailable."""
        ...

    def why(self, said: str) -> Availability:
        """What most likely ails, given what a room or its maker said."""
        ...

    @property
    def detail(self) -> str:
        """For people: how it runs here."""
        ...

    async def close(self) -> None:
        """Nothing of it is left; no room is open any more."""
        ...


class Rooms:
    """The port `core.ports.Sandbox`. Every run's workspace lies under `workspaces`; `way` is how runs with hosts granted
    get out. A workspace has a room of its own until it is released or long unused. Use it from one loop."""

    def __init__(
        self, maker: Maker, workspaces: Path, way: Way | None = None, warm: int = 1, idle: float = 300.0, most: int = 8
    ) -> None:
        self._maker = maker
        self._workspaces = workspaces
        self._way = way or Way()
        self._pool = Pool(maker.make, PoolSettings(maker.usual(), warm, idle, most))
        self._services: set[Service] = set()

    @property
    def name(self) -> str:
        return self._maker.name

    @property
    def isolation(self) -> Isolation:
        return self._maker.isolation

    async def available(self) -> Availability:
        """Really makes a room and runs Python in it, with the policy's defaults."""
        if (missing := await self._maker.missing()) is not None:
            return missing
        probe = self._workspaces / f".probe-{os.getpid()}-{id(self)}"
        await asyncio.to_thread(probe.mkdir, parents=True, exist_ok=True)
        run = SandboxRun(("python3", "-c", "print(1)"), str(probe), SandboxPolicy(timeout=20))
        try:
            outcome = await self.run(run)
        except AgentHostError as problem:
            return await asyncio.to_thread(self._maker.why, problem.message)
        finally:
            await self.release(str(probe))
            await asyncio.to_thread(shutil.rmtree, probe, ignore_errors=True)
        if outcome.stdout != b"1\n":
            said = outcome.stderr.decode("utf-8", "replace")[-400:] or f"exit code {outcome.exit_code} {outcome.limit}"
            return Availability(False, f"print(1) fails in the sandbox: {said}", "see docs/sandbox.md")
        return Availability(True, self._maker.detail)

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Have the image and the packages. Raises BadInput, Unavailable, and Permanent (`packages`)."""
        await self._size(policy, tell)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Run to the end. Raises Unavailable, BadInput (a request that can't be run), and Temporary (`sandbox`: the
        room ended under it)."""
        run, egress, size = await self._taken(run, tell)
        held = await self._pool.take(run.workspace, size)
        try:
            return await held.room.run(run, egress)
        finally:
            self._pool.give_back(held)

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Start a run that goes on until it is stopped, or the policy's timeout. Raises as `run` does."""
        run, egress, size = await self._taken(run, tell)
        room = await self._pool.fresh(size)
        service = await Service.begin(room, run, egress, self._over)
        self._services.add(service)
        return service

    def _over(self, service: Service) -> None:
        self._services.discard(service)
        self._pool.refill()

    async def _taken(self, run: SandboxRun, tell: Callable[[str], None]) -> tuple[SandboxRun, Egress | None, Size]:
        check_run(run, self._maker.processes)
        egress = Egress(run.policy.hosts, self._way, tell) if run.policy.hosts else None
        folder = await asyncio.to_thread(place, self._workspaces, run.workspace)
        size = await self._size(run.policy, tell)
        env = run.env
        if egress is not None:
            trusted = (("SSL_CERT_FILE", self._maker.certificates),) if self._maker.certificates else ()
            env = (*egress.env.items(), *trusted, *run.env)
        return msgspec.structs.replace(run, workspace=str(folder), env=env), egress, size

    async def _size(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> Size:
        check_limits(policy, self._maker.processes)
        normal(policy.packages)
        if policy.isolation == "kernel" and self.isolation != "kernel":
            raise Unavailable(f"The sandbox {self.name} has no kernel of its own. Don't demand one, or set another.")
        return await self._maker.prepare(policy, tell)

    async def release(self, workspace: str) -> None:
        """Destroy the workspace's rooms. They are gone when this returns, so that no more are open than are counted."""
        await self._pool.release(str(await asyncio.to_thread(Path(workspace).resolve)))

    async def close(self) -> None:
        """Stop every service, all at once, and destroy every room, also when cancelled and whatever fails meanwhile."""
        await surely(self._close())

    async def _close(self) -> None:
        ends = (service.end() for service in tuple(self._services))
        try:
            failed = [each for each in await asyncio.gather(*ends, return_exceptions=True) if each is not None]
        finally:
            try:
                await self._pool.close()
            finally:
                await self._maker.close()
        if failed:
            raise failed[0]
