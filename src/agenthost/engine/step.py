"""What one step of an owner is going to commit, and the task's state after it."""

from collections.abc import Callable, Iterable, Mapping

from agenthost.core.commands import Ask, Command, Verdict
from agenthost.core.events import Answered, Event, Recorded
from agenthost.core.lifecycle import State, Trigger, next_state
from agenthost.core.ports import Append, InboxItem, LedgerEntry, Settlement, StoredEvent
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.engine.outcome import Outcome
from agenthost.programs.base import BaseState, Open

_ENDS: dict[str, Trigger] = {"done": "complete", "canceled": "cancel"}


class Step:
    """Gathers events and what is committed with them. `clean` takes secrets out of an event and has it as a store keeps
    it; `apply` brings the program's state up to it at once; it is shown to nobody before the commit."""

    __slots__ = (
        "_apply", "_clean", "_reserve", "_seq", "_settle", "_task", "_told",
        "asked", "events", "files", "merged", "now", "refused", "send", "scopes", "stored", "taken", "worked",
    )  # fmt: skip

    def __init__(
        self,
        task: str,
        seq: int,
        now: float,
        apply: Callable[[Recorded], None],
        clean: Callable[[Recorded], tuple[Recorded, StoredEvent]],
    ) -> None:
        self._task = task
        self._seq = seq
        self._apply = apply
        self._clean = clean
        self.now = now
        self.events: list[Recorded] = []
        self.stored: list[StoredEvent] = []
        self.asked: list[Command] = []
        self.taken: list[str] = []
        self.send: list[InboxItem] = []
        self.files: dict[str, str | None] = {}
        self.merged = False
        self.refused: set[str] = set()
        self._reserve: list[LedgerEntry] = []
        self._settle: list[Settlement] = []
        self._told: list[tuple[Outcome, bool]] = []
        self.worked = 0.0
        self.scopes: tuple[Scope, ...] = ()

    def event(self, event: Event) -> None:
        """Add an event."""
        recorded, stored = self._clean(Recorded(self._task, self._seq + len(self.events) + 1, self.now, event))
        self.events.append(recorded)
        self.stored.append(stored)
        self._apply(recorded)

    def add(self, outcome: Outcome, opened: Mapping[str, Open]) -> None:
        """Add an outcome. Of one whose command is no longer open (it was stopped, or answered
        otherwise) nothing counts but what the call has cost."""
        taken = outcome.command in opened
        self._settle.extend(outcome.settle)
        if taken:
            self._reserve.extend(outcome.reserve)
            self.files.update(outcome.files)
            for event in outcome.events:
                self.event(event)
        self._told.append((outcome, taken))

    def answers(self) -> set[str]:
        """The commands that are answered in this step by who performed them."""
        return {one.command for one, taken in self._told if taken and isinstance(one.events[-1], Answered)}

    def reserve(self, entry: LedgerEntry) -> None:
        """Reserve the worst case of a call that is about to be made."""
        self._reserve.append(entry)

    def settle(self, settle: Iterable[Settlement]) -> None:
        """Settle what was reserved."""
        self._settle.extend(settle)

    @property
    def settles(self) -> bool:
        """Whether an account is settled."""
        return bool(self._settle)

    def refuse(self, command: str | None) -> list[str]:
        """Take back the reservation of a command (None: all); whose they were."""
        refused = sorted({entry.command for entry in self._reserve if command in (None, entry.command)})
        if not refused and command is not None:
            return self.refuse(None)
        self._reserve = [entry for entry in self._reserve if entry.command not in refused]
        self.refused.update(refused)
        return refused

    def append(self, spec: TaskSpec, epoch: int, state: State, program: BaseState) -> Append:
        """The step as a store commits it (its events are added by who encodes them)."""
        verdict = program.finished.verdict if program.finished is not None else None
        return Append(
            task=spec.id,
            epoch=epoch,
            events=(),
            state=state,
            updated=self.now,
            outcome=verdict.outcome if verdict else "",
            reason=verdict.reason if verdict else "",
            reserve=tuple(self._reserve),
            settle=tuple(self._settle),
            taken=tuple(self.taken),
            send=tuple(self.send),
            workspace=spec.workspace if self.files else "",
            files=self.files,
            worked=self.worked,
            scopes=self.scopes,
        )

    def tell(self) -> None:
        """It is committed: those who wait for their outcome go on."""
        for outcome, taken in self._told:
            outcome.tell(taken and outcome.command not in self.refused)


def ends_as(verdict: Verdict, state: State = "working") -> State:
    """The state that a task ends in with a verdict."""
    return next_state(state, _ENDS.get(verdict.outcome, "fail"))


def state_after(state: State, program: BaseState) -> State:
    """A task's state after a step, by the lifecycle's table."""
    if state == "submitted":
        state = next_state(state, "claim")
    if program.finished is not None:
        return ends_as(program.finished.verdict, state)
    kinds = {entry.command.kind for entry in program.open.values() if isinstance(entry.command, Ask)}
    if kinds:
        return next_state(state, "ask-auth" if kinds == {"auth"} else "ask")
    return next_state(state, "reply") if state in ("input-required", "auth-required") else state
