"""Counts what the engine tells: what is asked of models and tools, how long it takes, what it costs."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from agenthost.core.commands import CallModel, CallTool, Command
from agenthost.core.events import KINDS, Answered, Asked, Created, Finished, Recorded, Retried
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import ModelAnswer
from agenthost.core.telling import Committed
from agenthost.core.tools import ToolResult
from agenthost.telemetry.figures import Figures
from agenthost.telemetry.tally import Labels

_NAMES = {kind: name for name, kind in KINDS.items()}
_MOST = 100_000
"""Tasks at most of which it is remembered what they wait for."""


class _Going(Struct):
    """A task that goes on: when it was made (0: before this process), and what it has asked of models and tools."""

    made: float
    asked: dict[str, tuple[float, CallModel | CallTool]] = {}


class Ear:
    """Hears every committed step and counts it. `hear` takes some microseconds."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._states: dict[str, int] = {}
        self._going: dict[str, _Going] = {}
        self._by_kind: dict[type, Callable[[Recorded, Any, str], None]] = {
            Created: self._created,
            Asked: self._asked,
            Retried: self._retried,
            Answered: self._answered,
            Finished: self._finished,
        }
        figures.gauge("agenthost_tasks", "Tasks that go on, by state.", "state", read=self.states)

    def begin(self, states: Mapping[str, int]) -> None:
        """How many tasks there are in each state, before anything is heard."""
        self._states = dict(states)

    def states(self) -> dict[Labels, float]:
        """How many tasks go on, by state."""
        return {(state,): float(count) for state, count in self._states.items()}

    def hear(self, done: Committed) -> None:
        """Count a step."""
        figures, states = self._figures, self._states
        figures.steps.add()
        if done.before != done.after:
            if done.before:
                states[done.before] = states.get(done.before, 0) - 1
            if done.after not in FINAL:
                states[done.after] = states.get(done.after, 0) + 1
        for recorded in done.events:
            event = recorded.event
            kind = type(event)
            figures.events.add(_NAMES[kind])
            count = self._by_kind.get(kind)
            if count is not None:
                count(recorded, event, done.name)
        for settlement in done.settled:
            if settlement.spent.cost:
                figures.model_cost.add(settlement.model, done.name, by=settlement.spent.cost)

    # --- by kind of event

    def _of(self, task: str, made: float = 0.0) -> _Going:
        going = self._going.get(task)
        if going is None:
            going = self._going[task] = _Going(made)
            if len(self._going) > _MOST:
                del self._going[next(iter(self._going))]
        return going

    def _created(self, recorded: Recorded, event: Created, name: str) -> None:
        self._figures.tasks_begun.add(name)
        self._of(recorded.task, recorded.at)

    def _asked(self, recorded: Recorded, event: Asked, name: str) -> None:
        command: Command = event.command
        if isinstance(command, CallModel | CallTool):
            self._of(recorded.task).asked[command.id] = (recorded.at, command)

    def _retried(self, recorded: Recorded, event: Retried, name: str) -> None:
        asked = self._of(recorded.task).asked
        known = asked.get(event.command)
        if known is not None:
            self._ended(recorded.at, *known, event.failure.code, "")
            asked[event.command] = (recorded.at + event.delay, known[1])

    def _answered(self, recorded: Recorded, event: Answered, name: str) -> None:
        going = self._going.get(recorded.task)
        known = going.asked.pop(event.command, None) if going is not None else None
        answer = event.answer
        if known is not None:
            outcome = event.failure.code if event.failure else "ok"
            if isinstance(answer, ToolResult) and answer.error:
                outcome = "error"
            self._ended(recorded.at, *known, outcome, answer.model if isinstance(answer, ModelAnswer) else "")
        elif isinstance(answer, ModelAnswer):
            # Asked for before this process began; when, it can't tell.
            self._figures.model_calls.add(answer.model, "ok")
        if isinstance(answer, ModelAnswer):
            asked = known[1].model if known is not None and isinstance(known[1], CallModel) else ""
            usage, tokens, model = answer.usage, self._figures.model_tokens, answer.model or asked
            for kind, count in (
                ("input", usage.input),
                ("output", usage.output),
                ("cached", usage.cached),
                ("reasoning", usage.reasoning),
            ):
                if count:
                    tokens.add(model, kind, by=count)

    def _ended(self, at: float, since: float, command: CallModel | CallTool, outcome: str, model: str) -> None:
        figures, seconds = self._figures, max(0.0, at - since)
        if isinstance(command, CallTool):
            figures.tool_calls.add(command.tool, outcome)
            figures.tool_seconds.add(seconds, command.tool)
        else:
            figures.model_calls.add(model or command.model, outcome)
            figures.model_seconds.add(seconds, model or command.model)

    def _finished(self, recorded: Recorded, event: Finished, name: str) -> None:
        going = self._going.pop(recorded.task, None)
        self._figures.tasks_ended.add(name, event.verdict.outcome)
        if going is not None and going.made:
            self._figures.task_seconds.add(max(0.0, recorded.at - going.made), name)
