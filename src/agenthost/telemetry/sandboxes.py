"""A sandbox whose runs are counted, by the back end that ran them and the limit that ended them."""

import time
from collections.abc import Callable

from agenthost.core.errors import AgentHostError
from agenthost.core.ports import Sandbox, SandboxService, silent
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.telemetry.figures import Figures


class Counted:
    """The port `core.ports.Sandbox` over another one."""

    def __init__(self, inner: Sandbox, figures: Figures) -> None:
        self.inner = inner
        self._figures = figures

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
        """As the sandbox does."""
        await self.inner.prepare(policy, tell)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """As the sandbox does, and counted."""
        began, outcome, limit = time.perf_counter(), "stopped", "none"
        try:
            done = await self.inner.run(run, tell)
            outcome, limit = "ok" if done.exit_code == 0 else "exit", done.limit or "none"
            return done
        except AgentHostError as error:
            outcome = error.code
            raise
        finally:
            self._figures.runs.add(self.name, outcome, limit)
            self._figures.run_seconds.add(time.perf_counter() - began, self.name)

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """As the sandbox does, and counted when it starts."""
        try:
            service = await self.inner.spawn(run, tell)
        except AgentHostError as error:
            self._figures.runs.add(self.name, error.code, "none")
            raise
        self._figures.runs.add(self.name, "service", "none")
        return service

    async def release(self, workspace: str) -> None:
        """As the sandbox does."""
        await self.inner.release(workspace)

    async def close(self) -> None:
        """As the sandbox does."""
        await self.inner.close()
