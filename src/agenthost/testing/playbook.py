"""Scripts of events and commands for a program: given these events, these commands. No engine, no I/O.

A playbook does what an engine does to a journal and nothing else: it writes down what the program
asks for and lets the test answer by the command's id. Each decision is made twice and must be the
same and leave the state as it was.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from agenthost.core.commands import (
    Command,
    Evaluate,
    Finish,
    StartChild,
    Stop,
    Verdict,
    Wait,
)
from agenthost.core.errors import Failure
from agenthost.core.events import (
    Answer,
    Answered,
    Asked,
    CancelAsked,
    ChildResult,
    Created,
    Event,
    Finished,
    Nothing,
    Recorded,
    Reply,
    RunResult,
    Value,
)
from agenthost.core.ids import child_id
from agenthost.core.parts import DataPart, Part, TextPart
from agenthost.core.ports import Evaluation, Program
from agenthost.core.tasks import TaskSpec
from agenthost.programs.base import BaseState

S = TypeVar("S", bound=BaseState)


class Playbook(Generic[S]):
    """Drives one program through one task. `open` are the commands without answer, by id; `now` is
    the time (seconds since the epoch) of the next event.

    A `Stop` is carried out at once, as the engine does it, unless `stops` is False.
    """

    def __init__(self, program: Program[S], spec: TaskSpec, now: float = 1_000.0, stops: bool = True) -> None:
        self.program = program
        self.spec = spec
        self.now = now
        self.stops = stops
        self.events: list[Recorded] = []
        self.open: dict[str, Command] = {}
        self.asked: dict[str, Command] = {}
        self.finish: Finish | None = None
        self.state = program.initial(spec)
        self.happened(Created(spec))

    def happened(self, event: Event) -> list[str]:
        """An event happens, and the program decides. The ids of what it asks for, in order."""
        self._write(event)
        return self._settle()

    def answer(self, id: str, answer: Answer) -> list[str]:
        """An open command gets its answer. The ids of what is asked for then."""
        self._take(id)
        return self.happened(Answered(id, answer))

    def fail(self, id: str, code: str, message: str = "it failed") -> list[str]:
        """An open command gets a failure instead of an answer."""
        self._take(id)
        return self.happened(Answered(id, None, Failure(code, message)))

    def value(self, id: str, *values: Any) -> list[str]:
        """The expressions of an Evaluate come to these values, in their order."""
        command = self.open[id]
        assert isinstance(command, Evaluate), f"{id} is {command}"
        return self.answer(id, Value(dict(zip(command.expressions, values, strict=True))))

    def ran(self, id: str, exit_code: int = 0, stdout: str = "", stderr: str = "", **more: Any) -> list[str]:
        """A sandbox command ends."""
        return self.answer(id, RunResult(exit_code, stdout, stderr, **more))

    def ended(self, id: str, text: str = "", data: Any = None, outcome: Any = "done", **more: Any) -> list[str]:
        """A child task ends, with words and, where `data` is given, a structured result."""
        command = self.open[id]
        assert isinstance(command, StartChild), f"{id} is {command}"
        parts: list[Part] = [TextPart(text)] if text else []
        if data is not None:
            parts.append(DataPart(data))
        verdict = more.pop("verdict", None) or Verdict(outcome, more.pop("reason", ""))
        return self.answer(id, ChildResult(child_id(self.spec.id, id), verdict, tuple(parts), **more))

    def replied(self, id: str, text: str) -> list[str]:
        """A person answers a question."""
        return self.answer(id, Reply(text))

    def over(self, id: str) -> list[str]:
        """A wait is over: the time is what it waited for."""
        command = self.open[id]
        assert isinstance(command, Wait), f"{id} is {command}"
        self.now = max(self.now, command.until)
        return self.answer(id, Nothing())

    def cancel(self, reason: str = "") -> list[str]:
        """Somebody asks for the task to be cancelled."""
        return self.happened(CancelAsked(reason=reason))

    def evaluation(self, id: str) -> Evaluation:
        """What the program hands over with an open Evaluate."""
        command = self.open[id]
        assert isinstance(command, Evaluate), f"{id} is {command}"
        return self.program.bind(self.state, command)

    def replayed(self) -> S:
        """The state that the events alone give, without a decision."""
        state = self.program.initial(self.spec)
        for recorded in self.events:
            state = self.program.apply(state, recorded)
        return state

    def _take(self, id: str) -> None:
        assert id in self.open, f"'{id}' is not open; open are: {', '.join(self.open) or 'none'}"
        del self.open[id]

    def _write(self, event: Event) -> None:
        recorded = Recorded(self.spec.id, len(self.events) + 1, self.now, event)
        self.events.append(recorded)
        self.state = self.program.apply(self.state, recorded)

    def _decide(self) -> Sequence[Command | Finish]:
        before = msgspec.json.encode(self.state)
        decided = list(self.program.decide(self.state))
        assert list(self.program.decide(self.state)) == decided, "two decisions of one state differ"
        assert msgspec.json.encode(self.state) == before, "a decision changed the state"
        return decided

    def _settle(self) -> list[str]:
        fresh: list[str] = []
        while self.finish is None:
            decided = self._decide()
            if not decided:
                break
            for command in decided:
                if isinstance(command, Finish):
                    self.finish = command
                    self._write(Finished(command.verdict, command.parts, command.artifacts))
                    self.open.clear()
                    break
                assert command.id not in self.asked, f"'{command.id}' is asked for a second time"
                self.asked[command.id] = self.open[command.id] = command
                fresh.append(command.id)
                self._write(Asked(command))
            self._stop([command for command in decided if isinstance(command, Stop)])
        return fresh

    def _stop(self, stops: list[Stop]) -> None:
        if not self.stops or self.finish is not None:
            return
        for stop in stops:
            if self.open.pop(stop.target, None) is not None:
                self._write(Answered(stop.target, None, Failure("stopped", "it was stopped")))
            self.open.pop(stop.id)
            self._write(Answered(stop.id, Nothing()))
