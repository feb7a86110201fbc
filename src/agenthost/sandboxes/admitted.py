"""A sandbox whose runs hold their part of the machine while they go on; what doesn't fit now waits."""

from collections import Counter
from collections.abc import Callable
from pathlib import PurePath

from agenthost.core.machines import Need
from agenthost.core.ports import Connection, Hold, Machine, Sandbox, SandboxService, silent
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun


class Admitted:
    """The port `core.ports.Sandbox` over another one. `whole` is what the machine hands out at most.

    A service holds twice what its policy says, where there is as much: the second half is for the run beside it
    in the same workspace that probes it. Else services that wait for their own checks could hold up each other for ever.
    """

    def __init__(self, inner: Sandbox, machine: Machine, whole: Need) -> None:
        self.inner = inner
        self._machine = machine
        self._whole = whole
        self._spare: Counter[str] = Counter()

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
        if self._spare[run.workspace] > 0:
            self._spare[run.workspace] -= 1
            try:
                return await self.inner.run(run, tell)
            finally:
                self._spare[run.workspace] += 1
        hold = await self._machine.hold(self._need(run.policy), who(run), tell)
        try:
            return await self.inner.run(run, tell)
        finally:
            await hold.release()

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Start a service once there is room for it and for what probes it."""
        single = self._need(run.policy)
        double = Need(2 * single.memory, min(2 * single.cpu, self._whole.cpu))
        beside = double.memory <= self._whole.memory
        hold = await self._machine.hold(double if beside else single, who(run), tell)
        try:
            service = await self.inner.spawn(run, tell)
        except BaseException:
            await hold.release()
            raise
        # Where two don't fit into the machine at all, its check goes beside it all the same: it could never run.
        return _Service(service, hold, self._spare, run.workspace)

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

    def __init__(self, inner: SandboxService, hold: Hold, spare: Counter[str], workspace: str) -> None:
        self._inner = inner
        self._hold = hold
        self._spare = spare
        self._workspace = workspace
        self._going = True
        spare[workspace] += 1

    async def connect(self, port: int) -> Connection:
        return await self._inner.connect(port)

    async def wait(self) -> SandboxOutcome:
        outcome = await self._inner.wait()
        await self._ended()
        return outcome

    async def stop(self) -> SandboxOutcome:
        try:
            return await self._inner.stop()
        finally:
            await self._ended()

    async def _ended(self) -> None:
        if self._going:
            self._going = False
            self._spare.subtract([self._workspace])
            if not self._spare[self._workspace]:
                del self._spare[self._workspace]
            await self._hold.release()
