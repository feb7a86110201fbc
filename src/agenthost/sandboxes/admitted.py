"""A sandbox whose runs hold their part of the machine while they go on; what doesn't fit now waits."""

import asyncio
from collections.abc import Callable
from pathlib import PurePath

from agenthost.core.machines import Hold, Machine, Need
from agenthost.core.ports import Connection, Sandbox, SandboxService, silent
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.surely import surely


class Admitted:
    """The port `core.ports.Sandbox` over another one. `whole` is what the machine hands out at most.

    Whoever has a service going mustn't wait for a run before stopping it, or two of them could wait for each other
    for ever. The engine keeps to that: one command at a time works in a workspace, and a service is one.
    """

    def __init__(self, inner: Sandbox, machine: Machine, whole: Need) -> None:
        self.inner = inner
        self._machine = machine
        self._whole = whole

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def isolation(self) -> Isolation:
        return self.inner.isolation

    async def available(self) -> Availability:
        """As the sandbox says."""
        return await self.inner.available()

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """As the sandbox does: nothing of the policy's code runs."""
        await self.inner.prepare(policy, tell)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Run once there is room; the policy's `timeout` begins then. Raises Unavailable where there never is."""
        hold = await self._machine.hold(self._need(run.policy), who(run), tell)
        try:
            return await self.inner.run(run, tell)
        finally:
            await hold.release()

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Start a service once there is room for it; it has that until it has ended."""
        hold = await self._machine.hold(self._need(run.policy), who(run), tell)
        try:
            service = await self.inner.spawn(run, tell)
        except BaseException:
            await hold.release()
            raise
        return _Service(service, hold)

    async def release(self, workspace: str) -> None:
        """As the sandbox does."""
        await self.inner.release(workspace)

    async def close(self) -> None:
        """As the sandbox does."""
        await self.inner.close()

    def _need(self, policy: SandboxPolicy) -> Need:
        # `cpu` bounds how quick a run may be. Where a machine has fewer cores it is slower, and runs all the same.
        return Need(policy.memory, min(policy.cpu, self._whole.cpu))


def who(run: SandboxRun) -> str:
    """By what a run is known among those who wait: its workspace, which bears the task's id."""
    return PurePath(run.workspace).name


class _Service:
    """A service that holds its part of the machine until it has ended."""

    def __init__(self, inner: SandboxService, hold: Hold) -> None:
        self._inner = inner
        self._hold = hold

    async def connect(self, port: int) -> Connection:
        return await self._inner.connect(port)

    async def wait(self) -> SandboxOutcome:
        try:
            outcome = await self._inner.wait()
        except asyncio.CancelledError:
            raise  # who waited waits no longer; it may go on
        except BaseException:
            await self._hold.release()
            raise
        await self._hold.release()
        return outcome

    async def stop(self) -> SandboxOutcome:
        return await surely(self._stop())

    async def _stop(self) -> SandboxOutcome:
        """Also where whoever stops it is cancelled: it has its part of the machine until it is really gone."""
        try:
            return await self._inner.stop()
        finally:
            await self._hold.release()
