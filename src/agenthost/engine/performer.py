"""Performs commands through the ports. Each performance ends in one outcome for the task's owner."""

import asyncio
from typing import Any, Protocol

import msgspec

from agenthost.core.commands import CallModel, CallTool, Command, Evaluate, RunCommand
from agenthost.core.errors import AgentHostError, Failure, Temporary
from agenthost.core.events import Answered, Retried, RunResult
from agenthost.core.models import Delta, ModelRequest
from agenthost.core.ports import Blobs, Evaluation, Settlement, Workspace
from agenthost.core.sandboxes import SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult
from agenthost.engine.accounts import Accounts
from agenthost.engine.bus import Bus
from agenthost.engine.files import Desk, Files
from agenthost.engine.outcome import Outcome
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.engine.retry import delay


class Task(Protocol):
    """What a performer may know of the task that it works for, and how it hands outcomes back."""

    @property
    def spec(self) -> TaskSpec: ...

    def request(self, command: CallModel) -> ModelRequest: ...

    def evaluation(self, command: Evaluate) -> Evaluation: ...

    def attempt(self, command: str) -> int:
        """The number of the attempt that is reserved for a model call, from 1."""
        ...

    async def commit(self, outcome: Outcome) -> None:
        """Hand over an outcome and wait until it is in the journal."""
        ...


class Context:
    """What a tool may use while it is called; fulfils core.ports.ToolContext."""

    def __init__(self, task: TaskSpec, key: str, desk: Desk | None, blobs: Blobs, runner: "Performer") -> None:
        self.task = task.id
        self.agent = task.name
        self.key = key
        self.blobs = blobs
        self._spec = task
        self._desk = desk
        self._runner = runner

    @property
    def workspace(self) -> Workspace:
        """The task's files. Only tools whose spec says `workspace` have them."""
        if self._desk is None:
            raise AgentHostError("this tool's specification doesn't say that it works on the workspace")
        return self._desk.workspace

    async def run(self, command: str, timeout: float | None = None) -> SandboxOutcome:
        """Run a shell line in the task's sandbox and workspace."""
        return await self._runner.run_shell(self._spec, self.workspace, command, timeout)


class Performer:
    """Performs the commands of all tasks of one engine."""

    def __init__(self, parts: Parts, settings: EngineSettings, files: Files, accounts: Accounts, bus: Bus) -> None:
        self._parts = parts
        self._settings = settings
        self._files = files
        self._accounts = accounts
        self._bus = bus

    async def perform(self, task: Task, command: Command) -> None:
        """Perform a command to its end; its answer or failure is committed when this returns."""
        try:
            if isinstance(command, CallModel):
                await self._call_model(task, command)
            elif isinstance(command, CallTool):
                await self._call_tool(task, command)
            elif isinstance(command, RunCommand):
                await self._run(task, command)
            elif isinstance(command, Evaluate):
                answer = await self._parts.scripts.evaluate(task.evaluation(command))
                await task.commit(Outcome((Answered(command.id, answer),)))
        except AgentHostError as error:
            await task.commit(Outcome((Answered(command.id, failure=error.failure()),)))

    # --- models ---------------------------------------------------------------------------------

    async def _call_model(self, task: Task, command: CallModel) -> None:
        request = task.request(command)
        names = (command.model, *command.fallbacks)
        attempt = task.attempt(command.id)
        tried = 0
        index = 0
        while True:
            name = names[index]
            tried += 1
            try:
                settle, answered = await self._attempt(task, command, request, name, attempt)
                await task.commit(Outcome((answered,), settle=settle))
                return
            except Temporary as error:
                last = tried >= self._settings.attempts
                failure = error.failure()
                wait = 0.0 if last else delay(error, tried, self._settings, self._parts.random)
                spent = error.sent
            except AgentHostError as error:
                # Another model may well do what this one can't; but a request that is wrong is wrong everywhere.
                if error.code in ("bad-request", "context-too-long", "scripted-unreadable"):
                    raise
                last, failure, wait, spent = True, error.failure(), 0.0, False
            if last:
                index += 1
                tried = 0
            if index >= len(names):
                await task.commit(Outcome((Answered(command.id, failure=_given_up(failure, names)),)))
                return
            attempt = await self._again(task, command, attempt, names[index], failure, wait, spent or last)
            if self._bus.followed(task.spec.id):
                self._bus.delta(task.spec.id, command.id, attempt, Delta(reset=True))

    async def _attempt(
        self, task: Task, command: CallModel, request: ModelRequest, name: str, attempt: int
    ) -> tuple[tuple[Settlement, ...], Answered]:
        model = await self._parts.models.model(name)
        wanted = request if request.model == name else msgspec.structs.replace(request, model=name)
        key = f"{task.spec.id}/{command.id}/{attempt}"
        wanted = msgspec.structs.replace(wanted, key=key)

        def tell(delta: Delta) -> None:
            self._bus.delta(task.spec.id, command.id, attempt, delta)

        answer = await model.answer(wanted, tell)
        return await self._accounts.settle(command, attempt, name, answer), Answered(command.id, answer)

    async def _again(
        self, task: Task, command: CallModel, attempt: int, name: str, failure: Failure, wait: float, spent: bool
    ) -> int:
        """Journal that the call is made again, and wait. An attempt that the provider may charge for
        stays in the ledger at its worst case, so the next one is reserved anew."""
        if spent:
            attempt += 1
            entry = await self._accounts.reserve(task.spec, command, attempt, name, self._parts.clock())
            await task.commit(Outcome((Retried(command.id, attempt, failure, wait),), reserve=(entry,)))
        else:
            await task.commit(Outcome((Retried(command.id, attempt, failure, wait),)))
        if wait:
            await asyncio.sleep(wait)
        return attempt

    # --- tools and commands ---------------------------------------------------------------------

    async def _call_tool(self, task: Task, command: CallTool) -> None:
        tool = self._parts.tools.tool(command.tool)
        key = key_of(task.spec, command)
        if not tool.spec.workspace:
            context = Context(task.spec, key, None, self._parts.blobs, self)
            result = await tool.call(command.arguments, context)
            await task.commit(Outcome((Answered(command.id, result),)))
            return
        async with self._files.use(task.spec.workspace) as desk:
            context = Context(task.spec, key, desk, self._parts.blobs, self)
            result = await tool.call(command.arguments, context)
            changes = await desk.workspace.changes() if not tool.spec.read_only else {}
            answer = msgspec.structs.replace(result, changes=changes)
            await task.commit(Outcome((Answered(command.id, answer),), files=changes))
            self._files.kept(desk, changes)

    async def _run(self, task: Task, command: RunCommand) -> None:
        async with self._files.use(task.spec.workspace) as desk:
            policy = await self._policy(task.spec, command)
            outcome = await self.run_shell(task.spec, desk.workspace, command.command, None, policy)
            changes = await desk.workspace.changes()
            result = RunResult(
                exit_code=outcome.exit_code,
                stdout=outcome.stdout.decode(errors="replace"),
                stderr=outcome.stderr.decode(errors="replace"),
                duration=round(outcome.duration, 6),
                limit=outcome.limit,
                cut=outcome.cut,
                changes=changes,
            )
            await task.commit(Outcome((Answered(command.id, result),), files=changes))
            self._files.kept(desk, changes)

    async def _policy(self, spec: TaskSpec, command: RunCommand) -> SandboxPolicy:
        override: dict[str, Any] = dict(command.policy)
        if command.timeout is not None:
            override["timeout"] = command.timeout
        policy = await self._parts.programs.policy(spec)
        return msgspec.structs.replace(policy, **override) if override else policy

    async def run_shell(
        self,
        spec: TaskSpec,
        workspace: Workspace,
        command: str,
        timeout: float | None,
        policy: SandboxPolicy | None = None,
    ) -> SandboxOutcome:
        """Run a shell line in a task's sandbox. `timeout` may only shorten what the policy allows."""
        policy = policy or await self._parts.programs.policy(spec)
        if policy.packages:
            await self._parts.sandbox.prepare(policy.packages, lambda line: None)
        if timeout is not None and timeout < policy.timeout:
            policy = msgspec.structs.replace(policy, timeout=timeout)
        return await self._parts.sandbox.run(SandboxRun(("sh", "-c", command), workspace.folder, policy))

    async def check(self, spec: TaskSpec, command: CallTool) -> ToolResult | bool | None:
        """After a crash: the tool's result where the call happened, False where it surely did not,
        None where nobody can tell."""
        try:
            tool = self._parts.tools.tool(command.tool)
            return await tool.check(key_of(spec, command), command.arguments)
        except KeyError:
            return False
        except AgentHostError:
            return None


def key_of(spec: TaskSpec, command: Command) -> str:
    """The idempotency key that a tool receives: the same for every try at one call."""
    return f"{spec.id}/{command.id}"


def _given_up(failure: Failure, names: tuple[str, ...]) -> Failure:
    tried = f" (tried: {', '.join(names)})" if len(names) > 1 else ""
    return Failure(failure.code, failure.message + tried, failure.temporary, failure.delay, failure.details)
