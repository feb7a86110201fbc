"""The task that finds another message's task: one call of a small model, and a decision whatever comes of it."""

from collections.abc import Mapping

import msgspec

from agenthost.core.commands import CallModel, Command, Evaluate, Finish, Verdict, View
from agenthost.core.events import Recorded
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.parts import DataPart
from agenthost.core.ports import Evaluation
from agenthost.core.routing import Decision, Scene, Spoken
from agenthost.core.tasks import TaskSpec
from agenthost.programs.base import BaseState, Delivery, awaits, shared_commands, track
from agenthost.programs.routing import digest
from agenthost.programs.routing.ranking import rank

CALL = "route"
"""The id of the one call."""

MOST_OUTPUT = 1_024
"""Tokens of the answer: it is a line, and some models think before it."""


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """A routing task's inputs: the message, what was known, and how near its meaning is to the tasks' (see `rank`)."""

    spoken: Spoken
    scene: Scene
    similar: dict[str, float] | None = None


class RoutingState(BaseState):
    """What was asked is in the task's inputs; `decision` is what came of it, and `reason` why it is what it is."""

    decision: Decision | None = None
    reason: str = ""


class RoutingProgram:
    """The program of tasks of kind `routing`. Its output is a DataPart of the Decision. It ends `done` also where the model couldn't be
    had, with the meaning `unsure`: then a person is asked."""

    def initial(self, spec: TaskSpec) -> RoutingState:
        """The state before the first event."""
        return RoutingState(spec=spec)

    def apply(self, state: RoutingState, recorded: Recorded) -> RoutingState:
        """What an event means to the question."""
        delivery = track(state, recorded)
        if delivery is not None and delivery.id == CALL:
            _take(state, delivery)
        return state

    def decide(self, state: RoutingState) -> list[Command | Finish]:
        """What should happen now."""
        if state.finished is not None:
            return []
        shared = list(shared_commands(state))
        if state.cancel is not None or awaits(state, CALL):
            return shared
        if state.decision is not None:
            return [Finish(Verdict("done", state.reason), (DataPart(_plain(state.decision)),))]
        asked = _question(state.spec)
        if asked is None:
            why = "a routing task's inputs are the message (`spoken`) and what was known (`scene`); start it through a conversation"
            return [Finish(Verdict("blocked", why, code="bad-input"))]
        told = digest.digest(asked.spoken, asked.scene, asked.similar)
        return [*shared, CallModel(CALL, state.spec.model or "default", View(0, 1), "route", MOST_OUTPUT, told.tokens)]

    def render(self, state: RoutingState, command: CallModel) -> ModelRequest:
        """The request that the call stands for."""
        spec, asked = state.spec, _question(state.spec)
        if asked is None:
            raise ValueError(f"task {spec.id} asks nothing")
        person = f"{spec.namespace}/{spec.person}"
        metadata = {"task": spec.id, "agent": spec.name, "purpose": command.purpose, "person": person}
        told = digest.digest(asked.spoken, asked.scene, asked.similar)
        return digest.request(told, command.model, command.id, command.max_output, metadata)

    def bind(self, state: RoutingState, command: Evaluate) -> Evaluation:
        """It evaluates nothing. Raises ValueError."""
        raise ValueError(f"task {state.spec.id} evaluates nothing")


def inputs(spoken: Spoken, scene: Scene, similar: Mapping[str, float] | None = None) -> dict[str, object]:
    """A routing task's `spec.inputs`."""
    return msgspec.to_builtins(Question(spoken, scene, dict(similar) if similar is not None else None))


def _plain(decision: Decision) -> object:
    """A decision as JSON has it: a journal's is compared with it."""
    return msgspec.json.decode(msgspec.json.encode(decision))


def _question(spec: TaskSpec) -> Question | None:
    try:
        return msgspec.convert(spec.inputs, Question)
    except msgspec.ValidationError:
        return None


def _take(state: RoutingState, delivery: Delivery) -> None:
    asked, answer = _question(state.spec), delivery.answer
    if asked is None:
        return
    spoken, scene = asked.spoken, asked.scene
    if isinstance(answer, ModelAnswer) and answer.stop != "refusal":
        state.decision = digest.read(answer.text, spoken, scene, asked.similar)
        state.reason = (
            f"{answer.model or 'the model'} says {state.decision.meaning}, {state.decision.confidence:.0%} sure"
        )
        return
    why = delivery.failure.message if delivery.failure is not None else "the model refused"
    state.decision = digest.unsure(rank(spoken, scene.topics, asked.similar))
    state.reason = f"no model could say ({why}), so the person is asked"
