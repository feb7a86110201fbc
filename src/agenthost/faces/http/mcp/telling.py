"""What is told of a task while it goes on: a line a step, and of which level it is."""

from typing import Literal

from agenthost.core.commands import Ask, CallModel, CallTool, RunCommand, StartChild
from agenthost.core.events import Answered, Asked, ChildResult, Created, Event, Finished, Noted, Recorded, Retried
from agenthost.core.ids import root_id
from agenthost.core.questions import cut

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LEVELS: tuple[Level, ...] = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Teller:
    """Makes lines of events; knows who each task of the tree is."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def line(self, recorded: Recorded) -> tuple[str, Level] | None:
        """What to tell of an event, and how much it matters; None where that is nothing."""
        event = recorded.event
        if isinstance(event, Created):
            self._names[recorded.task] = event.spec.name
        said = _said(event, recorded.task == root_id(recorded.task))
        if said is None:
            return None
        name = self._names.get(recorded.task, "")
        return (f"{name}: {said[0]}" if name else said[0]), said[1]


def _said(event: Event, root: bool) -> tuple[str, Level] | None:
    match event:
        case Created():
            return f"begins, as task {event.spec.id}", "info"
        case Asked(command=command):
            return _asked(command)
        case Answered(failure=failure) if failure is not None:
            return f"{event.command} failed: {failure.message}", "warning"
        case Answered(answer=ChildResult() as result):
            return f"task {result.task} ended: {result.verdict.outcome}", "debug"
        case Retried():
            return f"tries again (attempt {event.attempt}): {event.failure.message}", "notice"
        case Noted():
            return event.text, "info"
        case Finished() if root:
            return f"ended: {event.verdict.outcome}" + (
                f", {event.verdict.reason}" if event.verdict.reason else ""
            ), "info"
        case _:
            return None


def _asked(command: object) -> tuple[str, Level] | None:
    match command:
        case CallModel():
            return f"asks the model {command.model}", "debug"
        case CallTool():
            return f"calls the tool {command.tool}", "info"
        case RunCommand():
            return f"runs {command.command[:120]}", "info"
        case StartChild():
            return f"starts {command.kind} {command.name}", "info"
        case Ask():
            return f"asks: {cut(command.question, 1000)}", "notice"
        case _:
            return None
