"""A sandbox and a folder as pydantic-ai's `WorkspaceBackend`, so that its published `WorkspaceBackendSuite` tests ours.

Needs `pydantic-ai-slim`; nothing else of AgentHost loads this. File operations are left to pydantic-ai, which
does them by commands: so each of them is a run of the sandbox.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from pydantic_ai.workspaces import (
    CommandResult,
    WorkspaceRef,
    WorkspaceTimeoutError,
    WorkspaceUnavailableError,
)
from pydantic_ai.workspaces.protocol import WorkspaceError, WorkspaceOutputLimitError

from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy, SandboxRun

PROVIDER = "agenthost"
# pydantic-ai sets no time for a command; a run has one in any case.
_LONGEST = 3600.0
_POLICY = SandboxPolicy(output=16 * MIB)


class SandboxWorkspace:
    """The environment is a folder; it is made by the first operation, or named by `ref` and has to be there."""

    def __init__(
        self, sandbox: Sandbox, folder: Path, ref: WorkspaceRef | None = None, policy: SandboxPolicy = _POLICY
    ) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._ref = ref
        self._policy = policy
        self._destroyed = asyncio.Event()

    @property
    def ref(self) -> WorkspaceRef | None:
        return self._ref

    async def working_dir(self) -> str:
        await self._environment()
        return "/workspace"

    async def run(
        self,
        command: str | Sequence[str],
        *,
        shell: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        """Raises TypeError, WorkspaceTimeoutError, WorkspaceOutputLimitError, WorkspaceUnavailableError, and
        WorkspaceError where another limit of the policy ended it."""
        if isinstance(command, str) != shell:
            raise TypeError("a text needs shell=True, a list of words shell=False")
        await self._environment()
        argv = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
        policy = msgspec.structs.replace(self._policy, timeout=timeout or _LONGEST)
        order = SandboxRun(argv, str(self._folder), policy, env=tuple((env or {}).items()))
        return self._told(await self._until_destroyed(order))

    async def destroy(self) -> None:
        """End what runs in it and remove it."""
        self._destroyed.set()
        await self._sandbox.release(str(self._folder))
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _environment(self) -> None:
        if self._destroyed.is_set():
            raise WorkspaceUnavailableError(f"{self._folder} was destroyed")
        if self._ref is None:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            self._ref = WorkspaceRef(provider=PROVIDER, id=str(self._folder))
        elif not await asyncio.to_thread(self._folder.is_dir):
            raise WorkspaceUnavailableError(f"{self._folder} is gone")

    async def _until_destroyed(self, order: SandboxRun) -> SandboxOutcome:
        loop = asyncio.get_running_loop()
        running = loop.create_task(self._sandbox.run(order))
        gone = loop.create_task(self._destroyed.wait())
        try:
            await asyncio.wait([running, gone], return_when=asyncio.FIRST_COMPLETED)
            if self._destroyed.is_set():
                raise WorkspaceUnavailableError(f"{self._folder} was destroyed during the command")
            return running.result()
        finally:
            for task in (running, gone):
                task.cancel()
            await asyncio.wait([running, gone])

    def _told(self, outcome: SandboxOutcome) -> CommandResult:
        stdout, stderr = (said.decode("utf-8", "replace") for said in (outcome.stdout, outcome.stderr))
        if outcome.limit == "time":
            raise WorkspaceTimeoutError("the command took too long", stdout=stdout, stderr=stderr)
        if outcome.cut or outcome.limit == "output":
            limit = self._policy.output
            raise WorkspaceOutputLimitError("the command said too much", limit=limit, stdout=stdout, stderr=stderr)
        if outcome.limit:
            raise WorkspaceError(f"the command was ended by its limit of {outcome.limit}")
        return CommandResult(exit_code=outcome.exit_code, stdout=stdout, stderr=stderr)
