"""Performs commands through the ports. Each performance ends in one outcome for the task's owner."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

import msgspec

from agenthost.core.budgets import Spend
from agenthost.core.commands import CallModel, CallTool, Command, Evaluate, Inspect, Probe, RunCommand
from agenthost.core.errors import AgentHostError, BadInput, BudgetRefused, Failure, Permanent, Temporary, Unavailable
from agenthost.core.events import Answered, Begun, Retried, RunResult
from agenthost.core.models import Delta, ModelAnswer, ModelRequest
from agenthost.core.parts import TextPart
from agenthost.core.ports import Blobs, Evaluation, Model, Resumable, Settlement, Workspace
from agenthost.core.sandboxes import SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult
from agenthost.engine.accounts import Accounts
from agenthost.engine.bus import Bus
from agenthost.engine.files import Desk, Files
from agenthost.engine.looking import Committed, Left
from agenthost.engine.outcome import Outcome
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.engine.retry import delay, is_free
from agenthost.engine.supervisor import Supervisor
from agenthost.programs.base import Open

T = TypeVar("T")

HANDLE_SECONDS = 1.0
"""How long one that is cut off waits for the handle of an answer that it has just begun."""

_WRONG_EVERYWHERE = frozenset({"bad-request", "context-too-long", "scripted-unreadable"})
"""Codes of failures for which no other model is tried."""


class Task(Protocol):
    """What a performer may know of the task that it works for, and how it hands outcomes back."""

    @property
    def spec(self) -> TaskSpec: ...

    def request(self, command: CallModel) -> ModelRequest: ...

    def evaluation(self, command: Evaluate) -> Evaluation: ...

    def attempt(self, command: str) -> int:
        """The number of the attempt that is reserved, from 1."""
        ...

    def begun(self, command: str) -> Begun | None:
        """What that attempt has begun elsewhere."""
        ...

    async def commit(self, outcome: Outcome) -> bool:
        """Hand over an outcome and wait until it is in the journal: whether the command was still open for
        it. After False nothing more is done for the command."""
        ...

    async def idly(self, wait: Awaitable[T]) -> T:
        """Wait for something that the performance may be called away from (it is cancelled then): what was journalled of
        it stands, and it is performed again from there."""
        ...


class Context:
    """What a tool may use while it is called; fulfils core.ports.ToolContext."""

    def __init__(self, task: Task, command: CallTool, desk: Desk | None, blobs: Blobs, runner: "Performer") -> None:
        self.task = task.spec.id
        self.agent = task.spec.name
        self.key = key_of(task.spec, command)
        self.blobs = blobs
        self._for = task, command
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
        task, call = self._for
        tell = self._runner.teller(task.spec, call)
        return await self._runner.run_shell(task.spec, self.workspace, command, timeout, tell)

    async def reserve(self, model: str, cost: float | None, tokens: int = 0) -> None:
        """Set aside what this call may cost at most."""
        await self._runner.reserve(*self._for, model, cost, tokens)


class Performer:
    """Performs the commands of all tasks of one engine."""

    def __init__(
        self,
        parts: Parts,
        settings: EngineSettings,
        files: Files,
        accounts: Accounts,
        bus: Bus,
        supervisor: Supervisor,
    ) -> None:
        self._parts = parts
        self._supervisor = supervisor
        self._settings = settings
        self._files = files
        self._accounts = accounts
        self._bus = bus
        self._sent: dict[str, int] = {}  # by key: the attempt at a model call that may have reached its provider

    async def perform(self, task: Task, command: Command) -> None:
        """Perform a command to its end; its answer or failure is committed when this returns."""
        try:
            if task.spec.trial is not None and not isinstance(command, CallModel | Evaluate):
                await self._stand_in(task, command)
            elif isinstance(command, CallModel):
                await self._call_model(task, command)
            elif isinstance(command, CallTool):
                await self._call_tool(task, command)
            elif isinstance(command, RunCommand):
                await self._run(task, command)
            elif isinstance(command, Inspect):
                place = Committed(self._parts.store, self._parts.blobs, task.spec.workspace)
                seen = await self._parts.inspector.inspect(command.look, place)
                await task.commit(Outcome(command.id, (Answered(command.id, seen),)))
            elif isinstance(command, Evaluate):
                answer = await self._parts.scripts.evaluate(task.evaluation(command))
                await task.commit(Outcome(command.id, (Answered(command.id, answer),)))
        except AgentHostError as error:
            await task.commit(Outcome(command.id, (Answered(command.id, failure=error.failure()),)))

    async def _stand_in(self, task: Task, command: Command) -> None:
        """A trial's command: nothing is performed, whatever it asks for."""
        if self._parts.stand_in is None:
            raise Unavailable("nothing was recorded here that could stand in for what a trial may not do")
        answered = await self._parts.stand_in.answer(task.spec, command)
        if answered is None:
            await asyncio.Event().wait()  # the trial is being ended
            return
        files = answered.answer.changes if isinstance(answered.answer, RunResult | ToolResult) else {}
        await task.commit(Outcome(command.id, (answered,), files=files))

    # --- models ---------------------------------------------------------------------------------

    async def _call_model(self, task: Task, command: CallModel) -> None:
        request = task.request(command)
        names = (command.model, *command.fallbacks)
        attempt = task.attempt(command.id)
        begun = task.begun(command.id)
        index = names.index(begun.model) if begun is not None and begun.model in names else 0
        tried = 0
        while True:
            tried += 1
            try:
                settle, answered = await self._attempt(task, command, request, names[index], attempt)
                await task.commit(Outcome(command.id, (answered,), settle=settle))
                self._sent.pop(key_of(task.spec, command), None)
                return
            except AgentHostError as error:
                failure, free, wait = error.failure(), is_free(error), self._wait(error, tried)
                # Another model may well do what this one can't; but a request that is wrong is wrong everywhere.
                over = error.code in _WRONG_EVERYWHERE or (wait is None and index + 1 == len(names))
            begun = task.begun(command.id)
            # An answer that was begun is paid for, whether it can be fetched or not.
            settle = _nothing_spent(command, attempt, names[index]) if free and begun is None else ()
            if settle:
                self._sent.pop(key_of(task.spec, command), None)
            if wait is None or not free:
                await self.withdraw(begun)
            if over:
                answered = Answered(command.id, failure=_given_up(failure, names[: index + 1]))
                await task.commit(Outcome(command.id, (answered,), settle=settle))
                self._sent.pop(key_of(task.spec, command), None)
                return
            if wait is None:
                index, tried = index + 1, 0
            again = attempt if free and wait is not None else attempt + 1
            if not await self._again(task, command, again, names[index], failure, wait or 0.0, attempt, settle):
                return
            attempt = again

    def _wait(self, error: AgentHostError, tried: int) -> float | None:
        """Seconds until this model is called again, None where it isn't."""
        settings = self._settings
        if error.code == "gone" and tried < settings.attempts:
            return 0.0
        if not isinstance(error, Temporary) or tried >= settings.attempts:
            return None
        if error.delay is not None and error.delay > settings.delay_most:
            return None
        return delay(error, tried, settings, self._parts.random)

    async def _attempt(
        self, task: Task, command: CallModel, request: ModelRequest, name: str, attempt: int
    ) -> tuple[tuple[Settlement, ...], Answered]:
        model = await self._parts.models.model(name)
        wanted = msgspec.structs.replace(request, model=name, key=f"{task.spec.id}/{command.id}/{attempt}")

        def tell(delta: Delta) -> None:
            self._bus.delta(task.spec.id, command.id, attempt, delta)

        begun = task.begun(command.id)
        self._sent[key_of(task.spec, command)] = attempt
        if model.card.background or begun is not None:
            answer = await self._fetch(task, model, wanted, begun or Begun(command.id, attempt, name), tell)
        else:
            answer = await model.answer(wanted, tell)
        return await self._accounts.settle(command, attempt, name, answer), Answered(command.id, answer)

    async def _fetch(
        self, task: Task, model: Model, wanted: ModelRequest, begun: Begun, tell: Callable[[Delta], None]
    ) -> ModelAnswer:
        """An answer that is made in the background: begun, unless it was, with its handle in the journal before
        anything else, and waited for."""
        if not model.card.background:
            raise Permanent(f"the model '{begun.model}' no longer answers in the background", code="gone")
        resumable = cast(Resumable, model)
        if not begun.handle:
            begun = await self._begin(task, resumable, wanted, begun)
            if not await task.commit(Outcome(begun.command, (begun,))):
                await self.withdraw(begun)
                raise Permanent("nobody waits for this answer any more", code="stopped")
        return await task.idly(resumable.resume(begun.handle, wanted, tell))

    def unmade(self, spec: TaskSpec, entry: Open) -> tuple[Settlement, ...]:
        """Of a model call that nobody waits for any more: where its attempt was reserved and never made (it waited to be made
        again), that it used nothing."""
        if not isinstance(entry.command, CallModel) or entry.begun is not None:
            return ()
        if self._sent.pop(key_of(spec, entry.command), None) == entry.attempt:
            return ()
        return _nothing_spent(entry.command, entry.attempt, entry.command.model)

    async def _begin(self, task: Task, model: Resumable, wanted: ModelRequest, begun: Begun) -> Begun:
        """Have an answer begun. Cut off while its handle is on the way, it waits a moment for that, and hands it over: else
        nobody could tell the provider that it isn't wanted."""

        async def handle() -> Begun | AgentHostError:
            try:
                return msgspec.structs.replace(begun, handle=await model.begin(wanted))
            except AgentHostError as error:
                return error

        beginning = self._supervisor.start(f"{wanted.key} begins", handle())
        try:
            made = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await asyncio.wait([beginning], timeout=HANDLE_SECONDS)
            if beginning.done() and not beginning.cancelled() and isinstance(beginning.result(), Begun):
                await task.commit(Outcome(begun.command, (cast(Begun, beginning.result()),)))
            raise
        finally:
            beginning.cancel()
        if isinstance(made, AgentHostError):
            raise made
        return made

    async def withdraw(self, begun: Begun | None) -> None:
        """Tell a provider, where an answer was begun, that nobody waits for it any more."""
        if begun is None or not begun.handle:
            return
        try:
            async with asyncio.timeout(self._settings.grace):
                model = await self._parts.models.model(begun.model)
                if model.card.background:
                    await cast(Resumable, model).cancel(begun.handle)
        except (AgentHostError, TimeoutError) as error:
            self._parts.log.warning("an answer is made on", model=begun.model, handle=begun.handle, error=str(error))

    async def _again(
        self,
        task: Task,
        command: CallModel,
        attempt: int,
        name: str,
        failure: Failure,
        wait: float,
        before: int,
        settle: tuple[Settlement, ...],
    ) -> bool:
        """Journal that the call is made again, and wait; whether it is to be. Where the attempt before may
        be charged for, or was for another model, the next one is reserved anew."""
        outcome = Outcome(command.id, (Retried(command.id, attempt, failure, round(wait, 6)),))
        if attempt != before:
            entry = await self._accounts.reserve(task.spec, command, attempt, name, self._parts.clock())
            outcome.reserve, outcome.settle = (entry,), settle
        if not await task.commit(outcome):
            return False
        self._bus.delta(task.spec.id, command.id, attempt, Delta(reset=True))
        if wait:
            await task.idly(asyncio.sleep(wait))
        return True

    # --- tools and commands ---------------------------------------------------------------------

    async def _call_tool(self, task: Task, command: CallTool) -> None:
        tool = self._parts.tools.tool(command.tool)
        if not tool.spec.workspace:
            result = await tool.call(command.arguments, Context(task, command, None, self._parts.blobs, self))
            await task.commit(
                Outcome(command.id, (Answered(command.id, result),), settle=_spent(task, command, result))
            )
            return
        async with self._files.use(task.spec.workspace) as desk:
            context = Context(task, command, desk, self._parts.blobs, self)
            result = await tool.call(command.arguments, context)
            if not tool.spec.read_only:
                result = await _with_changes(desk.workspace, result)
            await self._keep(task, desk, command, result, _spent(task, command, result))

    async def reserve(self, task: Task, command: CallTool, model: str, cost: float | None, tokens: int) -> None:
        """Reserve the worst case of a tool's paid call; what the last one reserved stands, where a crash cut it."""
        attempt = task.attempt(command.id) + (task.begun(command.id) is not None)
        entry = self._accounts.entry(task.spec, (command.id, attempt), model, 0, tokens, cost, self._parts.clock())
        begun = Begun(command.id, attempt, model)
        if not await task.commit(Outcome(command.id, (begun,), reserve=(entry,))):
            raise BudgetRefused(f"a budget has no room for this call of '{model}'; raise it to go further")

    async def _run(self, task: Task, command: RunCommand) -> None:
        async with self._files.use(task.spec.workspace) as desk:
            policy = await self._policy(task.spec, command)
            tell = self.teller(task.spec, command)
            if command.report is not None:
                await _without(desk.workspace, command.report.path)
            outcome = await self.run_shell(
                task.spec, desk.workspace, command.command, None, tell, policy, command.probe
            )
            report = None
            if command.report is not None:
                report = await self._parts.inspector.inspect(command.report, Left(desk.workspace))
            changes = await desk.workspace.changes()
            result = RunResult(
                exit_code=outcome.exit_code,
                stdout=outcome.stdout.decode(errors="replace"),
                stderr=outcome.stderr.decode(errors="replace"),
                duration=round(outcome.duration, 6),
                limit=outcome.limit,
                cut=outcome.cut,
                changes=changes,
                dropped=tuple(desk.workspace.dropped),
                report=report,
            )
            await self._keep(task, desk, command, result)

    async def _keep(
        self,
        task: Task,
        desk: Desk,
        command: Command,
        result: ToolResult | RunResult,
        settle: tuple[Settlement, ...] = (),
    ) -> None:
        """Commit a result with what it changed; where nobody waits for it any more, the folder is restored."""
        answered = Answered(command.id, result)
        kept = await task.commit(Outcome(command.id, (answered,), settle=settle, files=result.changes))
        if kept and not (isinstance(result, ToolResult) and result.error):
            self._files.kept(desk, result.changes)

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
        tell: Callable[[str], None],
        policy: SandboxPolicy | None = None,
        probe: Probe | None = None,
    ) -> SandboxOutcome:
        """Run a shell line in a task's sandbox, or have it serve and look at it. `timeout` may only shorten what the
        policy allows."""
        policy = policy or await self._parts.programs.policy(spec)
        if policy.packages or policy.image:
            await self._parts.sandbox.prepare(policy, tell)
        if timeout is not None and timeout < policy.timeout:
            policy = msgspec.structs.replace(policy, timeout=timeout)
        run = SandboxRun(("sh", "-c", command), workspace.folder, policy)
        if probe is not None:
            return await self._parts.prober.probe(run, probe, tell)
        return await self._parts.sandbox.run(run, tell)

    def teller(self, spec: TaskSpec, command: Command) -> Callable[[str], None]:
        """Tells followers what a command waits for, or does first."""
        return lambda line: self._bus.delta(spec.id, command.id, 1, Delta(notice=line))

    async def check(self, spec: TaskSpec, command: CallTool) -> ToolResult | bool | None:
        """After a crash: the tool's result where the call happened, False where it surely did not,
        None where nobody can tell."""
        try:
            tool = self._parts.tools.tool(command.tool)
            return await tool.check(key_of(spec, command), command.arguments)
        except KeyError:
            return False
        except AgentHostError as error:
            self._parts.log.warning("check failed", task=spec.id, tool=command.tool, error=error.message)
        except Exception as error:
            self._parts.log.error("fault", what=f"check of {command.tool}", error=repr(error), exc_info=error)
        return None


async def _without(workspace: Workspace, path: str) -> None:
    """Remove what an earlier run left at the place of a report."""
    if any(found == path for found, _ in await workspace.list()):
        await workspace.delete(path)


def key_of(spec: TaskSpec, command: Command) -> str:
    """The idempotency key that a tool receives: the same for every try at one call."""
    return f"{spec.id}/{command.id}"


def _given_up(failure: Failure, names: tuple[str, ...]) -> Failure:
    tried = f" (tried: {', '.join(names)})" if len(names) > 1 else ""
    return Failure(failure.code, failure.message + tried, failure.temporary, failure.delay, failure.details)


def _nothing_spent(command: CallModel, attempt: int, model: str) -> tuple[Settlement, ...]:
    return (Settlement(command.id, attempt, Spend(), model),)


def _spent(task: Task, command: CallTool, result: ToolResult) -> tuple[Settlement, ...]:
    """What a tool's paid call really cost, where it says so."""
    begun = task.begun(command.id)
    if begun is None or result.cost is None:
        return ()
    return (Settlement(command.id, begun.attempt, Spend(0, result.tokens, result.cost), begun.model),)


async def _with_changes(workspace: Workspace, result: ToolResult) -> ToolResult:
    """A result with what the call did to the files. Where they can't be kept, it says so: they are restored."""
    try:
        changes = await workspace.changes()
    except BadInput as error:
        note = f"[The files can't be kept and were put back as they were before: {error.message}]"
        return msgspec.structs.replace(result, parts=(*result.parts, TextPart(note)), error=True, changes={})
    dropped = ", ".join(workspace.dropped)
    note = f"[Not kept, because a workspace holds ordinary files and folders only: {dropped}]"
    parts = (*result.parts, TextPart(note)) if dropped else result.parts
    return msgspec.structs.replace(result, parts=parts, changes=changes)
