"""The owner of one task: restores it, lets its program decide, commits, performs, and goes round again."""

import asyncio
from collections import deque
from typing import Any

import msgspec

from agenthost.core.commands import Ask, CallModel, Command, Evaluate, Finish, StartChild, Stop, Verdict, Wait
from agenthost.core.errors import AgentHostError, BudgetRefused, Failure
from agenthost.core.events import (
    Answered,
    Asked,
    CancelAsked,
    ChildResult,
    Claimed,
    Event,
    Finished,
    Noted,
    Nothing,
    Received,
    Recorded,
    Reply,
    Retried,
    RunResult,
    Started,
)
from agenthost.core.lifecycle import FINAL, State, Trigger, next_state
from agenthost.core.models import ModelRequest
from agenthost.core.parts import Message
from agenthost.core.ports import Append, Evaluation, InboxItem, LedgerEntry, Program, Settlement
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.core.tools import ToolResult
from agenthost.engine import children
from agenthost.engine.outcome import Outcome
from agenthost.engine.performer import key_of
from agenthost.engine.recovery import recover
from agenthost.engine.services import Services

_message = msgspec.json.Decoder(Message)


class Owner:
    """Owns one task until it ends, or until it is stopped or loses its lease."""

    def __init__(self, services: Services, row: TaskRow, state: Any, program: Program[Any]) -> None:
        self._services = services
        self._row_state: State = row.state
        self._epoch = row.epoch
        self._seq = row.seq
        self._state = state
        self._program = program
        self._outcomes: deque[Outcome] = deque()
        self._wake = asyncio.Event()
        self._poked = True
        self._performing: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._changed: dict[str, str | None] = {}
        self.spec: TaskSpec = state.spec

    # --- what performers see (performer.Task) -----------------------------------------------------

    def request(self, command: CallModel) -> ModelRequest:
        """The request of a model call, from the state as it is."""
        return self._program.render(self._state, command)

    def evaluation(self, command: Evaluate) -> Evaluation:
        """What an Evaluate needs, from the state as it is."""
        return self._program.bind(self._state, command)

    def attempt(self, command: str) -> int:
        """The attempt of a model call that is reserved, from 1."""
        return self._state.open[command].attempt

    async def commit(self, outcome: Outcome) -> None:
        """Hand over an outcome; returns when it is in the journal."""
        outcome.committed = asyncio.get_running_loop().create_future()
        self._outcomes.append(outcome)
        self._wake.set()
        await outcome.committed

    # --- what the engine calls --------------------------------------------------------------------

    def poke(self) -> None:
        """There is something in the inbox."""
        self._poked = True
        self._wake.set()

    async def run(self, restored: bool) -> None:
        """Work until the task has ended. `restored`: it was taken over from an owner that is gone."""
        try:
            claimed = Outcome((Claimed(self._epoch, self._services.owner),))
            outcomes, resumed = await recover(self._services, self._state) if restored else ([], [])
            await self._step([claimed, *outcomes], [], resumed)
            while self._row_state not in FINAL:
                await self._wake.wait()
                self._wake.clear()
                await self._turn()
        finally:
            await self._stop_performing()

    @property
    def state(self) -> Any:
        """The program's state."""
        return self._state

    @property
    def services(self) -> Services:
        return self._services

    # --- one step ---------------------------------------------------------------------------------

    async def _turn(self) -> None:
        outcomes = list(self._outcomes)
        self._outcomes.clear()
        items: list[InboxItem] = []
        if self._poked:
            self._poked = False
            items = await self._services.parts.store.inbox(self.spec.id)
        if outcomes or items:
            await self._step(outcomes, items)

    async def _step(
        self, outcomes: list[Outcome], items: list[InboxItem], resumed: list[Command] | None = None
    ) -> None:
        step = Step(self)
        for outcome in outcomes:
            step.add(outcome)
        for item in items:
            await self._take(step, item)
        await self._act(step)
        await self._commit(step)
        for outcome in outcomes:
            if outcome.committed is not None and not outcome.committed.done():
                outcome.committed.set_result(True)
        if self._row_state not in FINAL:
            for command in (*(resumed or ()), *step.asked):
                self._perform(command)

    async def _act(self, step: "Step") -> None:
        """Let the program decide, and journal what it asks for; what may not be performed is answered
        with why, and the program decides again."""
        again = bool(step.events)
        while again:
            refusals: list[tuple[str, Failure]] = []
            for command in self._program.decide(self._state):
                if isinstance(command, Finish):
                    await self._finish(step, command)
                    return
                failure = await self._ask(step, command)
                if failure is not None:
                    refusals.append((command.id, failure))
            for id, failure in refusals:
                step.event(Answered(id, failure=failure))
            again = bool(refusals)

    async def _ask(self, step: "Step", command: Command) -> Failure | None:
        """Journal that a command was asked for, with what must stand before it is performed; why it may not be."""
        step.event(Asked(command))
        if not command.repeatable:
            step.event(Started(command.id, key_of(self.spec, command)))
        step.asked.append(command)
        if isinstance(command, CallModel):
            try:
                step.reserve.append(await self._reservation(command, 1))
            except AgentHostError as error:
                return error.failure()
        return None

    async def _reservation(self, command: CallModel, attempt: int) -> LedgerEntry:
        now = self._services.parts.clock()
        return await self._services.accounts.reserve(self.spec, command, attempt, command.model, now)

    async def _commit(self, step: "Step") -> None:
        """Commit a step. Where a budget has no room, the call is answered with that and the program
        decides again, in the same commit."""
        before = self._row_state
        while True:
            self._row_state = step.row_state(before, self._state)
            try:
                await self._services.append(self._append(step), step.events)
                break
            except BudgetRefused as error:
                await self._refuse(step, error)
        self._seq += len(step.events)
        self._services.committed(step.events, step.send, self.spec.name)

    async def _refuse(self, step: "Step", error: BudgetRefused) -> None:
        refused = {entry.command for entry in step.reserve}
        named = error.details.get("command")
        if named in refused:
            refused = {named}
        step.reserve = [entry for entry in step.reserve if entry.command not in refused]
        for command in sorted(refused):
            step.event(Answered(command, failure=error.failure()))
        await self._act(step)

    def _append(self, step: "Step") -> Append:
        finished = self._state.finished
        verdict: Verdict | None = finished.verdict if finished is not None else None
        return Append(
            task=self.spec.id,
            epoch=self._epoch,
            events=(),
            state=self._row_state,
            updated=step.now,
            outcome=verdict.outcome if verdict else "",
            reason=verdict.reason if verdict else "",
            reserve=tuple(step.reserve),
            settle=tuple(step.settle),
            taken=tuple(step.taken),
            send=tuple(step.send),
            workspace=self.spec.workspace if step.files else "",
            files=step.files,
        )

    # --- what comes from outside ------------------------------------------------------------------

    async def _take(self, step: "Step", item: InboxItem) -> None:
        step.taken.append(item.id)
        if item.kind == "message":
            step.event(Received(_message.decode(item.body)))
        elif item.kind == "cancel":
            body = msgspec.json.decode(item.body)
            step.event(CancelAsked(body.get("by", "owner"), body.get("reason", "")))
        elif item.kind == "reply":
            self._take_reply(step, msgspec.json.decode(item.body))
        elif item.kind == "child":
            await self._take_child(step, children.read_report(item.body))
        else:
            step.event(Noted(f"an inbox item of the unknown kind '{item.kind}' was put aside"))

    def _take_reply(self, step: "Step", body: dict[str, str]) -> None:
        entry = self._state.open.get(body.get("question", ""))
        if entry is not None and isinstance(entry.command, Ask):
            step.event(Answered(entry.command.id, Reply(body.get("text", ""), body.get("by", "owner"))))
            self._drop_performance(entry.command.id)
        else:
            step.event(Noted("an answer came to a question that is no longer open", details=dict(body)))

    async def _take_child(self, step: "Step", report: children.ChildReport) -> None:
        entry = self._state.open.get(report.command)
        if entry is None or not isinstance(entry.command, StartChild):
            return
        result = report.result
        if entry.command.workspace == "copy":
            merged = await self._services.merge(self.spec, result)
            result = merged
            step.files.update(merged.changes)
        step.event(Answered(report.command, result))

    # --- performing -------------------------------------------------------------------------------

    def _perform(self, command: Command) -> None:
        if command.id not in self._state.open:
            return
        if isinstance(command, Wait):
            self._later(command.id, command.until - self._services.parts.clock(), Nothing())
        elif isinstance(command, Ask):
            if command.expires is not None:
                until = self._state.open[command.id].at + command.expires
                self._later(command.id, until - self._services.parts.clock(), Reply(command.default, "host"))
        elif isinstance(command, Stop):
            self._stop(command)
        elif isinstance(command, StartChild):
            self._start(command.id, self._services.start_child(self.spec, command))
        else:
            self._start(command.id, self._services.performer.perform(self, command))

    def _start(self, command: str, work: Any) -> None:
        task = self._services.supervisor.start(f"{self.spec.id}/{command}", self._fenced(command, work))
        self._performing[command] = task
        task.add_done_callback(lambda _: self._performing.pop(command, None))

    async def _fenced(self, command: str, work: Any) -> None:
        """The fence around performing: a fault in a tool or an adapter is that command's failure, not the task's."""
        try:
            await work
        except AgentHostError as error:
            self._outcomes.append(Outcome((Answered(command, failure=error.failure()),)))
            self._wake.set()
        except Exception as error:  # noqa: BLE001 - a plugin call's fence
            self._services.fault(f"{self.spec.id}/{command}", error)
            failure = Failure(
                "fault", f"{type(error).__name__}: {error} (a fault of the host or a plugin, see its log)"
            )
            self._outcomes.append(Outcome((Answered(command, failure=failure),)))
            self._wake.set()

    def _later(self, command: str, seconds: float, answer: Any) -> None:
        def fire() -> None:
            self._timers.pop(command, None)
            self._outcomes.append(Outcome((Answered(command, answer),)))
            self._wake.set()

        self._timers[command] = asyncio.get_running_loop().call_later(max(0.0, seconds), fire)

    def _stop(self, command: Stop) -> None:
        events: list[Event] = [Answered(command.id, Nothing())]
        entry = self._state.open.get(command.target)
        if entry is not None and isinstance(entry.command, StartChild):
            self._start(command.id, self._services.cancel_child(self.spec, entry.command, "stopped by its parent"))
        elif entry is not None:
            self._drop_performance(command.target)
            events.insert(0, Answered(command.target, failure=Failure("stopped", "it was stopped")))
        self._outcomes.append(Outcome(tuple(events)))
        self._wake.set()

    def _drop_performance(self, command: str) -> None:
        if (timer := self._timers.pop(command, None)) is not None:
            timer.cancel()
        if (task := self._performing.pop(command, None)) is not None:
            task.cancel()

    async def _stop_performing(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        tasks = list(self._performing.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in self._outcomes:
            if outcome.committed is not None:
                outcome.committed.cancel()

    # --- the end ----------------------------------------------------------------------------------

    async def _finish(self, step: "Step", finish: Finish) -> None:
        """End the task: performers first, then everything below it, then the journal."""
        await self._stop_performing()
        below = [entry.command for entry in self._state.open.values() if isinstance(entry.command, StartChild)]
        for command in below:
            await self._services.end_child(self.spec, command, finish.verdict.reason)
        uncertain = tuple(
            entry.command.id for entry in self._state.open.values() if entry.started and not entry.command.repeatable
        )
        finished = Finished(finish.verdict, finish.parts, finish.artifacts, uncertain)
        step.event(finished)
        if self.spec.parent:
            step.send.append(children.report(self.spec, finished, dict(self._changed), step.now))

    # --- used by Step -----------------------------------------------------------------------------

    def apply(self, event: Event, offset: int, at: float) -> Recorded:
        """Bring the state up to an event that is about to be committed."""
        recorded = Recorded(self.spec.id, self._seq + offset, at, event)
        self._state = self._program.apply(self._state, recorded)
        if isinstance(event, Answered) and isinstance(event.answer, RunResult | ToolResult | ChildResult):
            self._changed.update(event.answer.changes)
        return recorded


class Step:
    """What one step of an owner is going to commit."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.now = owner.services.parts.clock()
        self.events: list[Recorded] = []
        self.asked: list[Command] = []
        self.reserve: list[LedgerEntry] = []
        self.settle: list[Settlement] = []
        self.taken: list[str] = []
        self.send: list[InboxItem] = []
        self.files: dict[str, str | None] = {}

    def event(self, event: Event) -> None:
        """Add an event; the state is brought up to it at once, and shown to nobody before the commit."""
        self.events.append(self._owner.apply(event, len(self.events) + 1, self.now))

    def add(self, outcome: Outcome) -> None:
        """Add an outcome. One that answers what is no longer open (it was stopped) adds nothing."""
        opened = self._owner.state.open
        for event in outcome.events:
            if isinstance(event, Answered) and event.command not in opened:
                continue
            if isinstance(event, Retried) and event.command not in opened:
                continue
            self.event(event)
        self.reserve.extend(outcome.reserve)
        self.settle.extend(outcome.settle)
        self.files.update(outcome.files)

    def row_state(self, state: State, program_state: Any) -> State:
        """The task's state after this step, by the lifecycle's table."""
        trigger: Trigger
        if state == "submitted":
            state = next_state(state, "claim")
        finished: Finished | None = program_state.finished
        if finished is not None:
            trigger = {"done": "complete", "canceled": "cancel"}.get(finished.verdict.outcome, "fail")  # type: ignore[assignment]
            return next_state(state, trigger)
        asks = [entry.command for entry in program_state.open.values() if isinstance(entry.command, Ask)]
        if asks:
            trigger = "ask-auth" if all(ask.kind == "auth" for ask in asks) else "ask"
            return next_state(state, trigger)
        return next_state(state, "reply") if state in ("input-required", "auth-required") else state
