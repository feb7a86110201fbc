"""A new task that goes on from an event of another: its journal begins with copies of the events up to there.

What was under way at that event is in the copies as what is open. What is safe to repeat is done again by the owner that
takes the new task over. What isn't may have happened: it is in doubt, and a person is asked. Children that were under way
are forked with it, as they were at that time.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Spend
from agenthost.core.commands import CallModel, Command, StartChild, Wait
from agenthost.core.errors import AgentHostError, Failure, Unusable
from agenthost.core.events import Asked, Claimed, Created, Doubted, Event, Finished, Noted, Recorded, Retried, Started
from agenthost.core.ids import child_id
from agenthost.core.parts import Message
from agenthost.core.ports import InboxItem, Program
from agenthost.core.tasks import Forked, TaskRow, TaskSpec
from agenthost.engine import children
from agenthost.engine.step import state_after
from agenthost.host.records import spec_of
from agenthost.host.replaying.files import files_at
from agenthost.host.replaying.recording import Recording
from agenthost.programs.base import BaseState

FORKED = Failure("forked", "the task was forked while this was going on", temporary=True)


class Copy(Struct, frozen=True):
    """A task to be made: its row as it stands after `events`, the files of its own workspace where it has one, file lists
    to copy for it, and what its parent is told where it had ended already."""

    row: TaskRow
    events: tuple[Recorded, ...]
    files: dict[str, str]
    copies: tuple[tuple[str, str], ...] = ()
    report: InboxItem | None = None


class Wanted(Struct, frozen=True):
    """What a fork is to be: its id, whose, at which event, when, with which definitions (empty: the pinned ones), and in which conversation."""

    id: str
    at: int
    now: float
    person: str
    namespace: str
    via: str = ""
    bundle: str = ""
    conversation: str = ""


def cut(events: Sequence[Recorded], at: int) -> int:
    """How many events are kept for a fork at the event `at` (0: the last before the end). All that was asked for in one
    decision stays together. Raises Unusable."""
    ends = isinstance(events[-1].event, Finished)
    last = len(events) - ends
    if at < 0 or at > last:
        end = f"; event {len(events)} is its end" if ends and at == len(events) else ""
        raise Unusable(f"a task goes on from one of its events 1 to {last}, and {at} is none of them{end}")
    at = at or last
    if isinstance(events[at - 1].event, Asked | Started):
        while at < last and isinstance(events[at].event, Asked | Started):
            at += 1
    return at


class Forking:
    """One fork. `recording` is of the whole tree of the task (siblings may have worked in its files)."""

    def __init__(self, recording: Recording, task: str, wanted: Wanted) -> None:
        self._recording = recording
        self._task = task
        self._wanted = wanted
        events = recording.journals[task]
        self.kept = cut(events, wanted.at)
        self._until = events[self.kept - 1].at
        self._later = wanted.now - self._until

    def spec(self, before: Spend) -> TaskSpec:
        """The new task's specification. `before`: what was spent up to the event, which counts for its budget."""
        old, wanted = spec_of(self._recording.journals[self._task]), self._wanted
        own = tuple(
            msgspec.structs.replace(scope, task=wanted.id, before=scope.before + before)
            for scope in old.scopes
            if scope.task == self._task
        )
        return msgspec.structs.replace(
            old,
            id=wanted.id,
            bundle=wanted.bundle or old.bundle,
            namespace=wanted.namespace,
            person=wanted.person,
            conversation=self._wanted.conversation,
            workspace=wanted.id,
            workspace_base="",
            parent="",
            parent_command="",
            role="",
            scopes=own,
            via=wanted.via,
            notes={},
            caused="",
            files=files_at(self._recording, old.workspace, self._until, {self._task: self.kept}),
            forked=self._forked(self._task, self.kept),
        )

    def copy(self, spec: TaskSpec, program: Program[Any]) -> tuple[Copy, list[StartChild]]:
        """The new root task, and the children that were under way."""
        events = self._recording.journals[self._task][: self.kept]
        moved, state = self._moved(events, spec, program)
        row = self._row(spec, self._recording.row_of(self._task).title, moved, state)
        return Copy(row, tuple(moved), spec.files), _children(state)

    def child(self, parent: TaskSpec, command: StartChild) -> TaskSpec | None:
        """The specification of a child that was under way; None where it had not begun."""
        old = self._old(child_id(parent.id, command.id))
        events = self._until_then(old)
        if not events:
            return None
        spec = spec_of(events)
        new = child_id(parent.id, command.id)
        copied = bool(spec.workspace_base)
        kept = tuple(scope for scope in spec.scopes if scope.task == old)
        return msgspec.structs.replace(
            spec,
            id=new,
            bundle=parent.bundle,
            message=Message(f"task:{parent.id}", spec.message.parts, spec.message.id),
            namespace=parent.namespace,
            person=parent.person,
            workspace=new if copied else parent.workspace,
            workspace_base=f"{new}@base" if copied else "",
            parent=parent.id,
            scopes=(*parent.scopes, *(msgspec.structs.replace(each, task=new) for each in kept)),
            via="",
            caused="",
            files=files_at(self._recording, spec.workspace, self._until, {old: len(events)}) if copied else {},
            forked=self._forked(old, len(events)),
        )

    def copy_child(self, spec: TaskSpec, program: Program[Any]) -> tuple[Copy, list[StartChild]]:
        """A child that was under way, as it was then, and those below it that were."""
        old = self._old(spec.id)
        events = self._until_then(old)
        moved, state = self._moved(events, spec, program)
        row = self._row(spec, self._recording.row_of(old).title, moved, state)
        # What its copy of the files was made of is still known by the old name.
        base = ((f"{old}@base", f"{spec.id}@base"),) if spec.workspace_base else ()
        finished = state.finished
        report = children.report(spec, finished, state.changed, self._wanted.now) if finished is not None else None
        return Copy(row, tuple(moved), spec.files, base, report), [] if finished is not None else _children(state)

    def _forked(self, task: str, seq: int) -> Forked:
        return Forked(task, seq, bool(self._wanted.bundle), self._later)

    def _old(self, new: str) -> str:
        return self._task + new.removeprefix(self._wanted.id)

    def _until_then(self, task: str) -> list[Recorded]:
        """A child's journal at the time of the event. A step has one time, so that none is cut."""
        return [recorded for recorded in self._recording.journals.get(task, ()) if recorded.at <= self._until]

    def _moved(
        self, events: Sequence[Recorded], spec: TaskSpec, program: Program[Any]
    ) -> tuple[list[Recorded], BaseState]:
        """The copies and what follows from them, and the program's state after that."""
        moved: list[Recorded] = []
        state: Any = program.initial(spec)

        def add(event: Event, at: float) -> None:
            nonlocal state
            recorded = Recorded(spec.id, len(moved) + 1, at, event)
            state = program.apply(state, recorded)
            moved.append(recorded)

        decided: dict[str, Command] = {}
        try:
            for recorded in events:
                event = recorded.event
                if isinstance(event, Created):
                    event = Created(spec)
                elif isinstance(event, Asked) and isinstance(event.command, Wait):
                    decided = {} if self._wanted.bundle else _by_id(program.decide(state))
                    later = Wait(event.command.id, event.command.until + self._later)
                    # The program's own sum, to the last bit.
                    event = Asked(decided.get(later.id, later))
                add(event, recorded.at + self._later)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError, AssertionError, AgentHostError) as error:
            raise Unusable(
                f"the definitions as they are now don't fit what happened ({error}); fork with those that it was started with"
            ) from error
        if state.finished is None:
            for event in self._after(state, events[-1]):
                add(event, self._wanted.now)
        return moved, state

    def _after(self, state: BaseState, last: Recorded) -> list[Event]:
        found: list[Event] = [Noted(f"forked from {last.task} at event {last.seq}", details={"later": self._later})]
        for entry in state.open.values():
            command = entry.command
            if isinstance(command, CallModel) and entry.begun is not None:
                # The answer that was begun elsewhere is the other task's.
                found.append(Retried(command.id, entry.attempt + 1, FORKED))
            elif entry.started and not command.repeatable and not entry.doubted:
                found.append(Doubted(command.id))
        return found

    def _row(self, spec: TaskSpec, title: str, events: Sequence[Recorded], state: BaseState) -> TaskRow:
        claimed = [recorded.event.epoch for recorded in events if isinstance(recorded.event, Claimed)]
        verdict = state.finished.verdict if state.finished is not None else None
        return TaskRow(
            id=spec.id,
            kind=spec.kind,
            name=spec.name,
            state=state_after("working", state) if claimed else "submitted",
            created=events[0].at,
            updated=self._wanted.now,
            namespace=spec.namespace,
            person=spec.person,
            parent=spec.parent,
            root=spec.root,
            title=title,
            outcome=verdict.outcome if verdict else "",
            reason=verdict.reason if verdict else "",
            epoch=claimed[-1] if claimed else 0,
            conversation="" if spec.parent else spec.conversation,
        )


def _by_id(commands: Sequence[Any]) -> dict[str, Command]:
    return {command.id: command for command in commands if isinstance(command, Wait)}


def _children(state: BaseState) -> list[StartChild]:
    return [entry.command for entry in state.open.values() if isinstance(entry.command, StartChild)]
