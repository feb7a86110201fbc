"""What is known of a task and everything below it, from its events alone.

`View.take` brings it up to an event and says what is worth telling. It is pure: times come from
events, prices and bounds from whoever makes it.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.cli.render.moments import (
    Asks,
    Began,
    Called,
    Ended,
    Failed,
    Heard,
    Moment,
    Note,
    Ran,
    Retried,
    Said,
    Told,
    WentBack,
    Wrote,
)
from agenthost.cli.render.words import arguments, model_name, one_line
from agenthost.core import events
from agenthost.core.api import LiveDelta
from agenthost.core.checks import FilesLook, HttpLook
from agenthost.core.commands import Ask, CallModel, CallTool, Command, Evaluate, Inspect, RunCommand, StartChild, Wait
from agenthost.core.events import Recorded
from agenthost.core.models import ModelAnswer, Usage
from agenthost.core.parts import FilePart, Part, text_of

# A workflow's commands are STEP-ATTEMPT, with -ITEM and -retryN where there are any.
_STEP = re.compile(r"([a-z][a-z0-9_]*)(?:-(\d+))?")


class Doing(Struct):
    """A command that is open, since when, which attempt at it."""

    command: Command
    since: float
    attempt: int = 1


class Look(Struct, kw_only=True):
    """What is known of one task. Times in seconds since the epoch; `cost` in USD of the calls with a known
    price, `unpriced` counts the others. `words` is the provisional text of a model's answer."""

    id: str
    kind: str = ""
    name: str = ""
    role: str = ""
    workspace: str = ""
    step: str = ""
    parent: str = ""
    attempt: int = 1
    most: int = 0
    state: str = "waiting"
    outcome: str = ""
    reason: str = ""
    code: str = ""
    began: float = 0.0
    ended: float = 0.0
    model: str = ""
    usage: Usage = Usage()
    cost: float = 0.0
    unpriced: int = 0
    turns: int = 0
    words: str = ""
    thinking: bool = False
    calling: str = ""
    doing: dict[str, Doing] = msgspec.field(default_factory=dict[str, Doing])
    tries: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    parts: tuple[Part, ...] = ()
    artifacts: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    seq: int = 0

    @property
    def label(self) -> str:
        """The step and who does it: `code · coder`; the name alone at the top."""
        if not self.step or self.step == self.name:
            return self.name or self.id
        return f"{self.step} · {self.name}"


class Prices(Struct, frozen=True):
    """USD per million tokens, in and out."""

    input: float
    output: float


class View:
    """A task tree. `prices` by model name; `bounds` are a workflow's most attempts by (workflow, step)."""

    def __init__(
        self,
        root: str,
        prices: Mapping[str, Prices] | None = None,
        bounds: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self.root = root
        self.tasks: dict[str, Look] = {root: Look(id=root)}
        self.questions: dict[tuple[str, str], Ask] = {}
        self.now = 0.0
        self._changes: dict[str, dict[str, str | None]] = {}
        self._prices = prices or {}
        self._bounds = bounds or {}

    @property
    def top(self) -> Look:
        """The task that is followed."""
        return self.tasks[self.root]

    @property
    def seen(self) -> dict[str, int]:
        """The last sequence number seen of each task, to go on from."""
        return {look.id: look.seq for look in self.tasks.values() if look.seq}

    @property
    def changes(self) -> dict[str, str | None]:
        """What the task did to its files so far: path to digest, None where it removed."""
        return self._changes.get(self.top.workspace, {})

    def look(self, task: str) -> Look:
        """What is known of a task, made where nothing is."""
        if task not in self.tasks:
            self.tasks[task] = Look(id=task)
        return self.tasks[task]

    def totals(self) -> tuple[Usage, float, int]:
        """Tokens, USD and how many calls had no price, of all tasks together."""
        looks = self.tasks.values()
        usage = Usage(sum(look.usage.input for look in looks), sum(look.usage.output for look in looks))
        return usage, sum(look.cost for look in looks), sum(look.unpriced for look in looks)

    def active(self) -> list[Look]:
        """Tasks at work, in the order they began; a workflow whose children work is left to them."""
        at_work = [look for look in self.tasks.values() if look.state in ("working", "asking", "waiting") and look.kind]
        parents = {look.parent for look in at_work}
        return [look for look in at_work if look.id not in parents or _own_work(look)]

    def take(self, item: Recorded | LiveDelta) -> list[Moment]:
        """Bring the view up to `item`; what is worth telling of it."""
        if isinstance(item, LiveDelta):
            self._delta(item)
            notice = item.delta.notice
            return [Note(task=item.task, at=self.now, text=notice)] if notice else []
        look = self.look(item.task)
        if item.seq <= look.seq:
            return []
        look.seq = item.seq
        self.now = max(self.now, item.at)
        return self._event(look, item)

    def _delta(self, item: LiveDelta) -> None:
        look = self.look(item.task)
        delta = item.delta
        if delta.reset:
            look.words, look.thinking, look.calling = "", False, ""
        look.words += delta.text
        look.thinking = bool(delta.reasoning) or (look.thinking and not delta.text)
        if delta.call is not None:
            look.calling = delta.call.name or look.calling

    def _event(self, look: Look, item: Recorded) -> list[Moment]:
        event, task, at = item.event, item.task, item.at
        match event:
            case events.Created():
                return self._created(look, event, at)
            case events.Claimed():
                look.state = "working" if look.state == "waiting" else look.state
                return [Note(task=task, at=at, text="goes on from its last step")] if event.epoch > 1 else []
            case events.Asked():
                return self._asked(look, event.command, at)
            case events.Retried():
                doing = look.doing.get(event.command)
                if doing is None:
                    return []
                doing.attempt = event.attempt
                what = describe(doing.command)
                return [
                    Retried(
                        task=task, at=at, what=what, attempt=event.attempt, failure=event.failure, delay=event.delay
                    )
                ]
            case events.Answered():
                return self._answered(look, event, at)
            case events.Doubted():
                doing = look.doing.get(event.command)
                what = describe(doing.command) if doing else event.command
                return [Note(task=task, at=at, text=f"the host stopped while {what} was going on: it is in doubt")]
            case events.Received():
                return [Told(task=task, at=at, text=text_of(event.message.parts), sender=event.message.sender)]
            case events.CancelAsked():
                because = f": {event.reason}" if event.reason else ""
                return [Note(task=task, at=at, text=f"cancel was asked for by {event.by}{because}")]
            case events.Paused():
                because = f": {event.reason}" if event.reason else ""
                return [Note(task=task, at=at, text=f"paused by {event.by}{because}")]
            case events.Resumed():
                return [Note(task=task, at=at, text=f"resumed by {event.by}")]
            case events.Noted():
                return [Note(task=task, at=at, text=event.text)]
            case events.Finished():
                return self._finished(look, event, at)
            case events.Started() | events.Begun():
                return []

    def _created(self, look: Look, event: events.Created, at: float) -> list[Moment]:
        spec = event.spec
        look.kind, look.name, look.role = spec.kind, spec.name, spec.role.rpartition("/")[2]
        look.parent, look.began, look.workspace = spec.parent, at, spec.workspace
        look.model = look.model or model_name(spec.model)
        if spec.parent and spec.parent_command and not look.step:
            look.step = step_of(spec.parent_command)
        files = tuple(part for part in spec.message.parts if isinstance(part, FilePart))
        return [Began(task=look.id, at=at, text=text_of(spec.message.parts), files=files)]

    def _asked(self, look: Look, command: Command, at: float) -> list[Moment]:
        look.state = "working" if look.state == "waiting" else look.state
        moments: list[Moment] = []
        if look.kind == "workflow" and isinstance(command, StartChild | RunCommand | CallTool):
            moments = self._attempt(look, command, at)
        if _limit(command):
            return moments
        look.doing[command.id] = Doing(command, at)
        if isinstance(command, Ask):
            look.state = "asking"
            self.questions[look.id, command.id] = command
            moments.append(Asks(task=look.id, at=at, ask=command))
        if isinstance(command, CallModel):
            look.words, look.thinking, look.calling = "", False, ""
            look.model = model_name(command.model) if look.model in ("", "default") else look.model
        return moments

    def _attempt(self, look: Look, command: StartChild | RunCommand | CallTool, at: float) -> list[Moment]:
        step, attempt = step_of(command.id), attempt_of(command.id)
        before, look.tries[step] = look.tries.get(step, 0), attempt
        most = self._bounds.get((look.name, step), 0)
        role = ""
        if isinstance(command, StartChild):
            role = command.role.rpartition("/")[2] or command.name
            child = self.look(f"{look.id}.{command.id}")
            child.step, child.attempt, child.most = step, attempt, most
            child.parent, child.role, child.name = look.id, role, command.name
        # Steps after the one that was gone back to run again too; only that one is told of.
        if attempt == 1 or before >= attempt or (not most and any(name == look.name for name, _ in self._bounds)):
            return []
        return [WentBack(task=look.id, at=at, step=step, role=role or step, attempt=attempt, most=most)]

    def _answered(self, look: Look, event: events.Answered, at: float) -> list[Moment]:
        doing = look.doing.pop(event.command, None)
        if doing is None:
            return []
        command, seconds = doing.command, max(at - doing.since, 0.0)
        if isinstance(command, Ask):
            self.questions.pop((look.id, command.id), None)
            if not any(isinstance(other.command, Ask) for other in look.doing.values()):
                look.state = "working"
        if isinstance(command, CallModel):
            look.words, look.thinking, look.calling = "", False, ""
        if event.failure is not None:
            if isinstance(command, Evaluate) or event.failure.code == "stopped":
                return []
            return [Failed(task=look.id, at=at, what=describe(command), failure=event.failure)]
        if isinstance(event.answer, events.ToolResult | events.RunResult | events.ChildResult):
            self._changes.setdefault(look.workspace, {}).update(event.answer.changes)
        return self._answer(look, command, event.answer, seconds, at)

    def _answer(self, look: Look, command: Command, answer: Any, seconds: float, at: float) -> list[Moment]:
        match command, answer:
            case CallModel(), ModelAnswer():
                return [self._said(look, command, answer, seconds, at)]
            case CallTool(), events.ToolResult():
                path, content = command.arguments.get("path"), command.arguments.get("content")
                if isinstance(path, str) and isinstance(content, str) and not answer.error:
                    return [Wrote(task=look.id, at=at, path=path, content=content)]
                return [
                    Called(
                        task=look.id,
                        at=at,
                        tool=command.tool,
                        arguments=command.arguments,
                        text=answer.text,
                        error=answer.error,
                        seconds=seconds,
                    )
                ]
            case RunCommand(), events.RunResult():
                step = step_of(command.id) if look.kind == "workflow" else ""
                return [Ran(task=look.id, at=at, command=command.command, result=answer, step=step)]
            case Inspect(), events.Seen() if not isinstance(command.look, FilesLook):
                what = command.look.url if isinstance(command.look, HttpLook) else command.look.path
                return [
                    Note(task=look.id, at=at, text=f"the host looked at {what}: {answer.reason or 'as it should be'}")
                ]
            case Ask(), events.Reply():
                return [Heard(task=look.id, at=at, text=answer.text, by=answer.by)]
            case StartChild(), events.ChildResult() if answer.conflicts:
                paths = ", ".join(answer.conflicts)
                return [Note(task=look.id, at=at, text=f"could not be merged, both changed: {paths}")]
            case _:
                return []

    def _said(self, look: Look, command: CallModel, answer: ModelAnswer, seconds: float, at: float) -> Said:
        model = answer.model or command.model
        look.model = model_name(model)
        look.turns += 1
        look.usage = Usage(look.usage.input + answer.usage.input, look.usage.output + answer.usage.output)
        prices = self._prices.get(model) or self._prices.get(command.model)
        cost = None
        if prices is None:
            look.unpriced += 1
        else:
            cost = (answer.usage.input * prices.input + answer.usage.output * prices.output) / 1_000_000
            look.cost += cost
        return Said(
            task=look.id,
            at=at,
            text=answer.text,
            model=look.model,
            usage=answer.usage,
            seconds=seconds,
            cost=cost,
            calls=len(answer.calls),
            stop=answer.stop,
        )

    def _finished(self, look: Look, event: events.Finished, at: float) -> list[Moment]:
        look.state, look.ended = "ended", at
        look.outcome, look.reason = event.verdict.outcome, event.verdict.reason
        look.code = event.verdict.code
        look.parts, look.artifacts, look.uncertain = event.parts, event.artifacts, event.uncertain
        look.doing.clear()
        look.words = ""
        for key in [key for key in self.questions if key[0] == look.id]:
            del self.questions[key]
        return [Ended(task=look.id, at=at)]


def _own_work(look: Look) -> bool:
    return any(not isinstance(doing.command, StartChild | Evaluate) for doing in look.doing.values())


def _limit(command: Command) -> bool:
    """Whether it only waits for a time-out, of the whole task or of a step, while other things go on."""
    return isinstance(command, Wait) and (command.id == "deadline" or command.id.endswith("-timeout"))


def step_of(command: str) -> str:
    """The step that a workflow's command belongs to."""
    match = _STEP.match(command)
    return match[1] if match else command


def attempt_of(command: str) -> int:
    """Which attempt at its step a workflow's command is, from 1."""
    match = _STEP.match(command)
    return int(match[2] or 1) if match else 1


def describe(command: Command) -> str:
    """A command in a few words."""
    match command:
        case CallModel():
            return f"the model {model_name(command.model)}"
        case CallTool():
            words = arguments(command.arguments, 60)
            return f"{command.tool} {words}".rstrip()
        case RunCommand():
            looked = f" and GET {command.probe.path} on port {command.probe.port}" if command.probe else ""
            return f"$ {one_line(command.command, 80)}{looked}"
        case StartChild():
            return f"the {command.kind} {command.name}"
        case Wait():
            return "waiting"
        case Ask():
            return "a question"
        case _:
            return "an expression" if isinstance(command, Evaluate) else "stopping"
