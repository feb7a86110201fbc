"""A task's journal, and what comes live beside it, as the events of an AG-UI run."""

from collections.abc import Iterable
from typing import Any

import msgspec
from ag_ui.core import (
    BaseEvent,
    CustomEvent,
    RunAgentInput,
    StateDeltaEvent,
    StateSnapshotEvent,
    StepFinishedEvent,
    StepStartedEvent,
    SubagentErrorEvent,
    SubagentFinishedEvent,
    SubagentFinishedSuspendedOutcome,
    SubagentStartedEvent,
)

from agenthost.core import events as journal
from agenthost.core.api import LiveDelta, TaskDetail
from agenthost.core.commands import Ask, CallModel, CallTool, Command, RunCommand, StartChild, Wait
from agenthost.core.events import Answered, Asked, Created, Finished, Recorded
from agenthost.core.models import ModelAnswer, Usage
from agenthost.core.parts import DataPart, Part, TextPart
from agenthost.core.tools import ToolCall, ToolResult
from agenthost.faces.http.agui.asking import named
from agenthost.faces.http.agui.given import OURS
from agenthost.faces.http.agui.spoken import Speaker, Spoken
from agenthost.programs.answers import approved

DENIED = "A person did not allow this call."


class Going:
    """One task of the run: who it is, and which of its commands are open."""

    def __init__(self, created: Created) -> None:
        spec = created.spec
        self.id, self.parent, self.root = spec.id, spec.parent, spec.root
        self.who = Speaker(spec.name, None if spec.id == spec.root else spec.id)
        self.open: dict[str, Command] = {}
        self.steps: dict[str, str] = {}
        self.wishes: dict[str, tuple[ToolCall, ...]] = {}
        self.late: set[str] = set()
        self.last = ""
        self.ended: Finished | None = None


class Teller:
    """Makes events of what happens. `take` while it is new to the other side, `absorb` for what it knows already."""

    def __init__(self, given: RunAgentInput, task: str) -> None:
        self.task = task
        self.seen: dict[str, int] = {}
        self.usage: dict[str, Usage] = {}
        self.spoken = Spoken(list(given.messages))
        self._going: dict[str, Going] = {}
        self._given: Any = given.state
        self._state: dict[str, Any] = {"task": task, "state": "submitted"}
        self._whole = given.state is None or isinstance(given.state, dict)

    # --- what is known already ---

    def absorb(self, recorded: Iterable[Recorded]) -> None:
        """Take what happened before this run."""
        self.spoken.silent = True
        for each in recorded:
            self.take(each)
        self.spoken.silent = False
        for going in self._going.values():
            going.late |= set(going.open)

    def begin(self, again: bool) -> list[BaseEvent]:
        """How a run begins: the state as it is, and of one that goes on with a task what is open in it."""
        self._snapshot()
        if again:
            self.spoken.restate()
            for going in self._going.values():
                if going.ended is None:
                    self._announce(going)
                    for name in going.steps.values():
                        self.spoken.tell(StepStartedEvent(step_name=name, subagent_run_id=going.who.subagent))
        return self.spoken.taken()

    # --- what happens ---

    def take(self, item: Recorded | LiveDelta) -> list[BaseEvent]:
        """The events that something leads to."""
        if isinstance(item, LiveDelta):
            self._delta(item)
            return self.spoken.taken()
        self.seen[item.task] = item.seq
        event = item.event
        if isinstance(event, Created):
            self._created(Going(event))
        elif (going := self._going.get(item.task)) is None:
            return []
        elif isinstance(event, journal.Claimed):
            self._now(going, "working")
        elif isinstance(event, Asked):
            going.open[event.command.id] = event.command
            self._asked(going, event.command)
        elif isinstance(event, Answered):
            command = going.open.pop(event.command, None)
            if command is not None:
                self._answered(going, command, event)
        elif isinstance(event, Finished):
            self._finished(going, event)
        return self.spoken.taken()

    def _created(self, going: Going) -> None:
        self._going[going.id] = going
        if going.who.subagent is None:
            self._state["agent"] = going.who.name
        self._announce(going)

    def _announce(self, going: Going) -> None:
        if going.who.subagent is not None:
            above = going.parent if going.parent != going.root else None
            self.spoken.tell(
                SubagentStartedEvent(subagent_run_id=going.id, name=going.who.name, parent_subagent_run_id=above)
            )

    def _asked(self, going: Going, command: Command) -> None:
        parent = going.last or named(going.id, "calls")
        if isinstance(command, CallModel):
            self._step(going, command.id, f"{going.who.name}: {command.purpose} {command.id}")
        elif isinstance(command, RunCommand):
            self._step(going, command.id, f"{going.who.name}: {command.id} {command.command[:60]}")
        elif isinstance(command, StartChild):
            self._step(going, command.id, f"{going.who.name}: {command.id}")
        elif isinstance(command, CallTool) or (isinstance(command, Ask) and command.kind == "tool"):
            arguments = msgspec.json.encode(command.arguments).decode()
            self.spoken.call(going.who, named(going.id, command.id), command.tool, arguments, parent)
        elif isinstance(command, Ask):
            self._gated(going, command)
            self._now(going, "input-required")

    def _gated(self, going: Going, ask: Ask) -> None:
        """The call that an approval is about is told of before it is made."""
        wish = self._wish(going, ask)
        if wish is not None:
            self.spoken.call(going.who, self.about(going.id, ask), wish.name, wish.arguments, going.last)

    def about(self, task: str, ask: Ask) -> str:
        """The id of the call that an approval is about; empty where it is about none that was told of."""
        going = self._going.get(task)
        if going is None or self._wish(going, ask) is None:
            return ""
        return named(task, ask.id.removesuffix("-ok"))

    def _wish(self, going: Going, ask: Ask) -> ToolCall | None:
        """The model's call behind an approval: that is named by the turn of the model and the call's place in it."""
        turn, _, place = ask.id.removesuffix("-ok").rpartition("-")
        wishes = going.wishes.get(turn, ())
        if ask.kind != "approval" or not place.isdigit() or int(place) >= len(wishes):
            return None
        return wishes[int(place)]

    def _answered(self, going: Going, command: Command, event: Answered) -> None:
        who, answer, failure = going.who, event.answer, event.failure
        if isinstance(command, CallModel):
            if isinstance(answer, ModelAnswer):
                self._said(going, command, answer)
            self.spoken.thought(named(going.id, f"{command.id}/thinking"))
            self.spoken.end(who, named(going.id, command.id))
        elif isinstance(command, CallTool):
            call = named(going.id, command.id)
            text = answer_text(answer.parts) if isinstance(answer, ToolResult) else ""
            failed = failure is not None or (isinstance(answer, ToolResult) and answer.error)
            self.spoken.result(who, call, f"{failure.message} [{failure.code}]" if failure else text, failed)
        elif isinstance(command, Ask):
            self._replied(going, command, event)
        self._unstep(going, command.id)

    def _replied(self, going: Going, ask: Ask, event: Answered) -> None:
        call = self.about(going.id, ask)
        if call and not approved(event.answer):
            self.spoken.result(going.who, call, DENIED, True)
        if ask.kind == "tool":
            self.spoken.answered.add(named(going.id, ask.id))
        if not any(isinstance(command, Ask) for command in going.open.values()):
            self._now(going, "working")

    def _said(self, going: Going, command: CallModel, answer: ModelAnswer) -> None:
        if not self.spoken.silent:
            self.usage[answer.model] = self.usage.get(answer.model, Usage()) + answer.usage
        if command.purpose != "turn":
            return
        id = named(going.id, command.id)
        self.spoken.thought(named(going.id, f"{command.id}/thinking"))
        self.spoken.say(going.who, id, answer.text)
        going.last = id
        going.wishes[command.id] = answer.calls

    def _finished(self, going: Going, event: Finished) -> None:
        going.ended = event
        for name in going.steps.values():
            self.spoken.tell(StepFinishedEvent(step_name=name, subagent_run_id=going.who.subagent))
        going.steps.clear()
        if going.who.subagent is None:
            return
        verdict = event.verdict
        if verdict.outcome == "done":
            self.spoken.tell(SubagentFinishedEvent(subagent_run_id=going.id, result=answer_text(event.parts)))
        else:
            code = verdict.code or verdict.outcome
            self.spoken.tell(SubagentErrorEvent(subagent_run_id=going.id, message=verdict.reason, code=code))

    def _step(self, going: Going, command: str, name: str) -> None:
        going.steps[command] = name
        self.spoken.tell(StepStartedEvent(step_name=name, subagent_run_id=going.who.subagent))

    def _unstep(self, going: Going, command: str) -> None:
        if (name := going.steps.pop(command, None)) is not None:
            self.spoken.tell(StepFinishedEvent(step_name=name, subagent_run_id=going.who.subagent))

    def _delta(self, item: LiveDelta) -> None:
        going = self._going.get(item.task)
        command = going.open.get(item.command) if going is not None else None
        if going is None or command is None:
            return
        delta = item.delta
        if delta.notice:
            value = {"task": item.task, "command": item.command, "text": delta.notice}
            self.spoken.tell(CustomEvent(name=f"{OURS}.notice", value=value, subagent_run_id=going.who.subagent))
        if not isinstance(command, CallModel) or command.purpose != "turn" or command.id in going.late:
            return
        id, thinking = named(going.id, command.id), named(going.id, f"{command.id}/thinking")
        if delta.reset:
            self.spoken.thought(thinking)
            self.spoken.take_back(going.who, id)
        if delta.reasoning:
            self.spoken.think(going.who, thinking, delta.reasoning)
        if delta.text:
            self.spoken.thought(thinking)
            self.spoken.add(going.who, id, delta.text)

    # --- the state ---

    def _now(self, going: Going, state: str) -> None:
        if going.who.subagent is None and self._state["state"] != state:
            self._state["state"] = state
            if self._whole:
                operation = {"op": "replace", "path": f"/{OURS}/state", "value": state}
                self.spoken.tell(StateDeltaEvent(delta=[operation]))  # pyright: ignore[reportArgumentType]

    def _snapshot(self) -> None:
        """The application's own state with ours in it; one that is no object is left alone."""
        if self._whole:
            self.spoken.tell(StateSnapshotEvent(snapshot={**(self._given or {}), OURS: dict(self._state)}))

    # --- the end ---

    @property
    def ended(self) -> Finished | None:
        """The task's end, once it has come."""
        going = self._going.get(self.task)
        return going.ended if going is not None else None

    @property
    def waits(self) -> bool:
        """Whether everything that goes on waits for an answer, as far as it was seen."""
        return self._blocked(self.task)

    def _blocked(self, task: str) -> bool:
        going = self._going.get(task)
        if going is None or going.ended is not None:
            return False
        asks = False
        for command in going.open.values():
            if isinstance(command, Ask) or (isinstance(command, StartChild) and self._blocked(f"{task}.{command.id}")):
                asks = True
            elif not isinstance(command, Wait):
                return False
        return asks

    def asks(self) -> set[str]:
        """The questions that are open, as far as it was seen."""
        return {
            named(going.id, command.id)
            for going in self._going.values()
            for command in going.open.values()
            if isinstance(command, Ask) and going.ended is None
        }

    def stop(self, detail: TaskDetail, questions: dict[str, list[str]]) -> list[BaseEvent]:
        """Close what is open, the lowest first, because the run ends before the task does. `questions`: by task, the
        ids of the interrupts that it raised."""
        self._close(questions)
        self._state["state"] = detail.row.state
        self._snapshot()
        self.spoken.restate()
        return self.spoken.taken()

    def _close(self, questions: dict[str, list[str]]) -> None:
        self.spoken.close({going.id: going.who for going in self._going.values()})
        for going in sorted(self._going.values(), key=lambda each: each.id, reverse=True):
            if going.ended is not None:
                continue
            for name in going.steps.values():
                self.spoken.tell(StepFinishedEvent(step_name=name, subagent_run_id=going.who.subagent))
            if going.who.subagent is not None:
                outcome = SubagentFinishedSuspendedOutcome(interrupt_ids=questions.get(going.id))
                self.spoken.tell(SubagentFinishedEvent(subagent_run_id=going.id, outcome=outcome))

    def end(self, detail: TaskDetail, files: list[str]) -> list[BaseEvent]:
        """What comes of the task, where its agent hasn't said it, and the state at the end."""
        assert self.ended is not None
        self._close({})
        text = answer_text(self.ended.parts)
        if text.strip() and text.strip() != self.spoken.last_text().strip():
            self.spoken.say(self._going[self.task].who, named(self.task, "output"), text)
        self._state |= {"state": detail.row.state, "outcome": detail.row.outcome, "files": files}
        self._snapshot()
        return self.spoken.taken()


def answer_text(parts: tuple[Part, ...]) -> str:
    """Parts in words: data as JSON, files by name."""
    told: list[str] = []
    for part in parts:
        if isinstance(part, TextPart):
            told.append(part.text)
        elif isinstance(part, DataPart):
            told.append(msgspec.json.encode(part.data).decode())
        else:
            told.append(f"[file {part.name or part.digest}, {part.media_type}, {part.size} bytes]")
    return "\n".join(told)
