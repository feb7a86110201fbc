"""The owner of one task: lets its program decide, commits, has it performed, and goes round again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agenthost.core.commands import Ask, CallModel, Command, Evaluate, Finish, StartChild, Wait
from agenthost.core.errors import AgentHostError, BudgetRefused
from agenthost.core.events import Answered, Asked, Begun, Claimed, Finished, Recorded, Started
from agenthost.core.ids import child_id
from agenthost.core.lifecycle import FINAL, State
from agenthost.core.models import ModelRequest
from agenthost.core.ports import Evaluation, InboxItem, Program
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.core.telling import Committed
from agenthost.engine import children, intake
from agenthost.engine.birth import Birth
from agenthost.engine.hands import Hands
from agenthost.engine.outcome import Outcome
from agenthost.engine.performer import key_of
from agenthost.engine.recovery import recover
from agenthost.engine.services import Services
from agenthost.engine.signal import Signal
from agenthost.engine.step import Step, state_after

T = TypeVar("T")


_PATIENT = Ask | Wait | StartChild
"""What is waited for without anything being done."""


async def _at_once() -> None:
    """Who has no slot needs none again."""


class Owner:
    """Owns one task until it ends, or until it is stopped or loses its lease."""

    def __init__(
        self, services: Services, row: TaskRow, state: Any, program: Program[Any], birth: Birth | None = None
    ) -> None:
        self.epoch = row.epoch
        self.spec: TaskSpec = state.spec
        self._services = services
        self._row_state: State = row.state
        self._seq = row.seq
        self._state = state
        self._program = program
        self._birth = birth
        self._wake = Signal()
        self._hands = Hands(services, self, self._tell, self._wake.set)
        self._outcomes: list[Outcome] = []
        self._between = Signal()  # two steps: nothing is on its way into the journal
        self._poked = False
        self._ending = False
        self._draining = False
        self._pauses: list[InboxItem] = []
        self._since: float | None = None  # something is under way, and its time up to here is counted
        self.away: Callable[[], None] = lambda: None
        """Called when the task only waits, for people or for what is below it; `back` before it goes on."""
        self.back: Callable[[], Awaitable[object]] = _at_once

    # --- what performers see (performer.Task) -----------------------------------------------------

    def request(self, command: CallModel) -> ModelRequest:
        """The request of a model call, from the state as it is."""
        return self._program.render(self._state, command)

    def evaluation(self, command: Evaluate) -> Evaluation:
        """What an Evaluate needs, from the state as it is."""
        return self._program.bind(self._state, command)

    def attempt(self, command: str) -> int:
        """The attempt at a command that is reserved, from 1."""
        return self._state.open[command].attempt

    def begun(self, command: str) -> Begun | None:
        """What that attempt has begun elsewhere."""
        entry = self._state.open.get(command)
        return entry.begun if entry is not None else None

    async def commit(self, outcome: Outcome) -> bool:
        """Hand over an outcome; returns when it is in the journal: whether the command was still open for it.
        What comes while the task is being ended is taken, and not waited for."""
        if self._ending:
            self._outcomes.append(outcome)
            return False
        outcome.committed = asyncio.get_running_loop().create_future()
        self._tell(outcome)
        return await outcome.committed

    async def idly(self, wait: Awaitable[T]) -> T:
        """A performance's wait that a pause ends."""
        return await self._hands.idly(wait)

    def _tell(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._wake.set()

    # --- what the engine calls --------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the task has ended, in the journal too."""
        return self._row_state in FINAL

    def below(self) -> list[str] | None:
        """The children that the task waits for; None where it waits neither for a person nor for one of them."""
        open = [entry.command for entry in self._state.open.values()]
        found = [child_id(self.spec.id, command.id) for command in open if isinstance(command, StartChild)]
        return found if found or any(isinstance(command, Ask) for command in open) else None

    def poke(self) -> None:
        """There is something in the inbox."""
        self._poked = True
        self._wake.set()

    def drain(self) -> bool:
        """Decide and begin nothing more: what comes is journalled, and the next owner goes on from there. Whether
        something still goes on."""
        self._draining = True
        return self._hands.busy or not self._between.is_set()

    async def drained(self) -> None:
        """Until what was begun is in the journal."""
        await self._between.wait()
        await self._hands.done()

    async def run(self, restored: bool) -> None:
        """Work until the task has ended, or rests. `restored`: it was taken over from an owner that is gone."""
        try:
            await self._begin(restored)
            while not self.ended:
                if self._pauses and not (self._hands.busy or self._outcomes or self._poked):
                    await self._rest()
                    return
                if all(isinstance(entry.command, _PATIENT) for entry in self._state.open.values()):
                    self.away()  # whoever is asked may take days
                await self._wake.wait()
                self._wake.clear()
                await self.back()
                await self._turn()
        finally:
            self._ending = True
            if self.ended:
                # Those whose answers ended it go on from their commit, and end by themselves.
                await asyncio.sleep(0)
            await self._hands.rest()
            for outcome in self._outcomes:
                outcome.tell(False)
            # Nobody waits for a step that failed.
            self._services.doors.open(self.spec.id)
            self._between.set()

    # --- one step ---------------------------------------------------------------------------------

    async def _begin(self, restored: bool) -> None:
        items = self._heed(await self._mail()) if self._poked else []
        outcomes, resumed = await recover(self._services, self._state) if restored else ([], [])
        step = self._step()
        step.event(Claimed(self.epoch, self._services.owner))
        await self._go(step, outcomes, items, resumed)

    async def _turn(self) -> None:
        resting = bool(self._pauses)
        items = self._heed(await self._mail()) if self._poked else []
        outcomes, self._outcomes = self._outcomes, []
        if outcomes or items:
            again = self._hands.left(self._state.open) if resting and not self._pauses else []
            await self._go(self._step(), outcomes, items, again)

    def _heed(self, items: list[InboxItem]) -> list[InboxItem]:
        """What of the mail is taken now. A pause is once nothing goes on any more: until then nothing new is begun. Who
        cancels, or has the task go on, doesn't wait for that."""
        kinds = [item.kind for item in items if item.kind in ("pause", "resume")]
        resting = bool(kinds) and kinds[-1] == "pause" and all(item.kind != "cancel" for item in items)
        self._pauses = [item for item in items if item.kind == "pause"] if resting else []
        self._hands.leave(resting)
        return [item for item in items if item not in self._pauses]

    async def _rest(self) -> None:
        """Nothing goes on any more: write down that the task rests, and have what is below it rest too."""
        await self._go(self._step(), [], self._pauses, [])
        for entry in self._state.open.values():
            if isinstance(entry.command, StartChild):
                await self._services.pause_child(self.spec, entry.command)

    async def _mail(self) -> list[InboxItem]:
        self._poked = False
        return await self._services.steady(lambda: self._services.parts.store.inbox(self.spec.id))

    def _step(self) -> Step:
        services = self._services
        return Step(self.spec.id, self._seq, services.parts.clock(), self._apply, services.codec.clean)

    def _apply(self, recorded: Recorded) -> None:
        self._state = self._program.apply(self._state, recorded)

    async def _go(self, step: Step, outcomes: list[Outcome], items: list[InboxItem], resumed: list[Command]) -> None:
        self._between.clear()
        self._count_time(step)
        for outcome in outcomes:
            step.add(outcome, self._state.open)
        for item in items:
            await intake.take(self._services, self._state, step, item)
        if step.events and not self._draining and not self._pauses:
            await self._act(step)
        await self._commit(step)
        step.tell()
        if not self.ended:
            opened = self._state.open
            self._hands.settle(opened)
            for command in (*resumed, *step.asked):
                if command.id in opened and not self._pauses:
                    self._hands.begin(command, opened)
            self._since = step.now if self._hands.busy else None
        self._between.set()

    def _count_time(self, step: Step) -> None:
        """Count how long something was under way, for the budgets of a day that bound it."""
        if self._since is not None and step.now > self._since:
            days = self._services.parts.programs.days(self.spec, step.now)
            step.scopes = tuple(each for each in days if each.limits.duration is not None)
            step.worked = step.now - self._since if step.scopes else 0.0

    async def _act(self, step: Step) -> None:
        """Let the program decide, and journal what it asks for; what may not be performed is answered
        with why, and what a person has allowed for good with that; then the program decides again."""
        again = True
        while again:
            answers: list[Answered] = []
            for command in self._program.decide(self._state):
                if isinstance(command, Finish):
                    if not await self._came_last(step, command):
                        await self._finish(step, command)
                        return
                    again = not self._pauses
                    break
                answered = await self._ask(step, command)
                if answered is not None:
                    answers.append(answered)
            else:
                again = bool(answers)
            for answered in answers:
                step.event(answered)

    async def _came_last(self, step: Step, finish: Finish) -> bool:
        """Whether something came before the end that nobody has seen; it is taken into the step. Who comes now waits for the end."""
        if finish.verdict.outcome == "canceled":
            return False
        await self._services.doors.shut(self.spec.id)
        items = self._heed([item for item in await self._mail() if item.id not in step.taken]) if self._poked else []
        if items or self._pauses:
            self._services.doors.open(self.spec.id)
        for item in items:
            await intake.take(self._services, self._state, step, item)
        return bool(items or self._pauses)

    async def _ask(self, step: Step, command: Command) -> Answered | None:
        """Journal that a command was asked for, with what must stand before it is performed; its answer where it has
        one at once: why it may not be performed, or what a grant says."""
        step.event(Asked(command))
        if not command.repeatable:
            step.event(Started(command.id, key_of(self.spec, command)))
        step.asked.append(command)
        if isinstance(command, CallModel):
            try:
                accounts, now = self._services.accounts, self._services.parts.clock()
                step.reserve(await accounts.reserve(self.spec, command, 1, command.model, now))
            except AgentHostError as error:
                return Answered(command.id, failure=error.failure())
        granted = await self._services.granted(self.spec, command, step.events[-1].seq)
        return Answered(command.id, granted) if granted is not None else None

    async def _commit(self, step: Step) -> None:
        """Commit a step. Where a budget has no room, the call is answered with that and the program
        decides again, in the same commit."""
        if not step.events and not step.taken and not step.settles:
            return
        before = self._row_state
        while True:
            after = state_after(before, self._state)
            try:
                append = step.append(self.spec, self.epoch, after, self._state)
                await self._services.append(append, step.stored, self._birth)
                break
            except BudgetRefused as error:
                for command in step.refuse(error.details.get("command")):
                    step.event(Answered(command, failure=error.failure()))
                await self._act(step)
        self._row_state = after
        self._services.doors.open(self.spec.id)
        self._seq += len(step.events)
        if step.merged:
            self._services.files.dirty(self.spec.workspace)
        done = Committed(step.events, self.spec.name, before, after, append.settle)
        self._services.committed(done, step.send)

    # --- the end ----------------------------------------------------------------------------------

    async def _finish(self, step: Step, finish: Finish) -> None:
        """End the task: what it does and everything below it at once, then the journal. What they still
        brought is written down; what may have happened without an answer is named."""
        self._ending = True
        opened = list(self._state.open.values())
        begun = [entry.begun for entry in opened if entry.begun is not None]
        ends: list[Awaitable[Any]] = [
            self._hands.rest(step.answers()),
            *map(self._services.performer.withdraw, begun),
        ]
        below = [entry.command for entry in opened if isinstance(entry.command, StartChild)]
        if below:
            ends.append(self._end_below(below, finish.verdict.reason))
        await asyncio.gather(*ends) if len(ends) > 1 else await ends[0]
        # Nothing that was reserved in this step has been called.
        step.refuse(None)
        brought, self._outcomes = self._outcomes, []
        for outcome in brought:
            if not outcome.reserve:
                step.add(outcome, self._state.open)
        opened = list(self._state.open.values())
        for entry in opened:
            if entry.begun is not None and entry.begun not in begun:
                await self._services.performer.withdraw(entry.begun)
            if entry.command.id not in step.refused:
                step.settle(self._services.performer.unmade(self.spec, entry))
        uncertain = tuple(entry.command.id for entry in opened if entry.started and not entry.command.repeatable)
        finished = Finished(finish.verdict, finish.parts, finish.artifacts, uncertain, finish.sources)
        step.event(finished)
        if self.spec.parent:
            step.send.append(children.report(self.spec, finished, self._state.changed, step.now))

    async def _end_below(self, below: list[StartChild], reason: str) -> None:
        # Where the making of a child goes on it is cut off first: it is there then, or never will be.
        await self._hands.stopped([command.id for command in below])
        await self._services.end_children(self.spec, below, reason)
