"""The supervisor as a program: it calls the judge, holds the answer against the rules, and hands the judgement over.

Its task is done when it has judged, whatever it found; the judgement is its result.
"""

from typing import Any

import msgspec

from agenthost.core.commands import CallModel, Command, Evaluate, Finish, Verdict, View
from agenthost.core.definitions import Bundle, PinnedAgent
from agenthost.core.errors import Failure
from agenthost.core.events import Asked, Created, Recorded
from agenthost.core.manifests.common import Budget
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import DataPart, TextPart
from agenthost.core.ports import Evaluation
from agenthost.core.tasks import TaskSpec
from agenthost.programs import deadline
from agenthost.programs.agent import structured
from agenthost.programs.agent.context import text_tokens
from agenthost.programs.base import BaseState, Delivery, shared_commands, track
from agenthost.programs.supervisor import words
from agenthost.programs.supervisor.evidence import Case
from agenthost.programs.supervisor.judgement import SCHEMA, Judgement, judged

MAX_REASKS = 3
"""How often an answer that is no judgement is asked for again."""

MAX_OUTPUT = 4096
MOST_ROOM = 60_000
"""Characters of what a judge is shown, at most."""


class SupervisorState(BaseState, kw_only=True):
    """The exchange with the judge, and its judgement. `held` says that it was told once what doesn't hold."""

    wanted: list[Command] = msgspec.field(default_factory=list[Command])
    turns: list[Turn] = msgspec.field(default_factory=list[Turn])
    calls: int = 0
    reasks: int = 0
    held: bool = False
    finish: Finish | None = None


class SupervisorProgram:
    """The program of every supervisor of one bundle. Its task's name is the agent's whose work it judges."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def initial(self, spec: TaskSpec) -> SupervisorState:
        """The state before the first event."""
        return SupervisorState(spec=spec)

    def apply(self, state: SupervisorState, recorded: Recorded) -> SupervisorState:
        """What an event means to the supervisor."""
        delivery = track(state, recorded)
        event = recorded.event
        if state.finished is not None:
            state.wanted.clear()
        elif isinstance(event, Created):
            state.wanted += deadline.begin(state, self._budget(state.spec))
            self._ask(state, words.material(self._case(state), self._room(state.spec)))
        elif isinstance(event, Asked):
            state.wanted = [command for command in state.wanted if command.id != event.command.id]
        elif delivery is not None and state.finish is None:
            self._take(state, delivery)
        return state

    def decide(self, state: SupervisorState) -> list[Command | Finish]:
        """What should happen now."""
        if state.finished is not None:
            return []
        shared = list(shared_commands(state))
        if state.cancel is not None:
            return shared
        return [state.finish] if state.finish is not None else [*shared, *deadline.held(state, state.wanted)]

    def render(self, state: SupervisorState, command: CallModel) -> ModelRequest:
        """What the judge is asked."""
        pinned, spec = self._pinned(state.spec), state.spec
        own = pinned.manifest.spec.completion.supervisor.instructions.strip()
        model = pinned.supervisor or pinned.model
        told = "" if model.structured else words.schema_told(msgspec.json.encode(SCHEMA).decode())
        instructions = "\n\n".join(piece for piece in (words.INSTRUCTIONS, own, told) if piece)
        person = f"{spec.namespace}/{spec.person}"
        return ModelRequest(
            command.model,
            instructions,
            tuple(state.turns[command.view.start : command.view.end]),
            output_schema=SCHEMA if model.structured else None,
            max_output=command.max_output,
            key=command.id,
            metadata={"task": spec.id, "agent": spec.name, "purpose": command.purpose, "person": person},
        )

    def bind(self, state: SupervisorState, command: Evaluate) -> Evaluation:
        """A supervisor evaluates nothing."""
        return Evaluation({}, {})

    def _pinned(self, spec: TaskSpec) -> PinnedAgent:
        return self._bundle.agents[spec.name]

    def _budget(self, spec: TaskSpec) -> Budget:
        return self._pinned(spec).manifest.spec.completion.supervisor.budget

    def _case(self, state: SupervisorState) -> Case:
        return msgspec.convert(state.spec.inputs, Case)

    def _room(self, spec: TaskSpec) -> int:
        pinned = self._pinned(spec)
        model = pinned.supervisor or pinned.model
        return max(4000, min(MOST_ROOM, (model.window - min(MAX_OUTPUT, model.max_output) - 2000) * 2))

    def _ask(self, state: SupervisorState, text: str) -> None:
        state.turns.append(Turn("user", (TextPart(text),)))
        pinned = self._pinned(state.spec)
        model = pinned.supervisor or pinned.model
        named = pinned.manifest.spec.completion.supervisor.model
        state.calls += 1
        worst = sum(text_tokens(turn.text) for turn in state.turns) + 2500
        state.wanted.append(
            CallModel(
                f"m{state.calls}",
                named or pinned.manifest.spec.called(state.spec.model),
                View(0, len(state.turns)),
                "judge",
                min(MAX_OUTPUT, model.max_output),
                worst,
            )
        )

    def _take(self, state: SupervisorState, delivery: Delivery) -> None:
        answer = delivery.answer
        if deadline.concerns(delivery.id):
            budget = self._budget(state.spec)
            if not (more := deadline.take(state, budget, delivery)):
                state.finish = Finish(Verdict("partly", deadline.used_up(state, budget), code="budget"))
            state.wanted += more
            return
        if not isinstance(answer, ModelAnswer):
            failure = delivery.failure or Failure(
                "bad-answer", "the judge's call was answered with no answer of a model"
            )
            outcome = "partly" if failure.code == "budget" else "blocked"
            state.finish = Finish(Verdict(outcome, failure.message, code=failure.code))
            return
        state.turns.append(Turn("assistant", (TextPart(answer.text or "(nothing)"),)))
        value, problem = structured.read(SCHEMA, answer.text)
        if problem is not None:
            self._unread(state, problem)
            return
        judgement = judged(self._case(state), value)
        told = words.refusals(judgement)
        if told and not state.held:
            state.held = True
            self._ask(state, words.AGAIN.format(told))
        else:
            _end(state, judgement, delivery.seq)

    def _unread(self, state: SupervisorState, problem: str) -> None:
        state.reasks += 1
        if state.reasks > MAX_REASKS:
            reason = f"the judge's answer could not be used {state.reasks} times; of the last, {problem}"
            state.finish = Finish(Verdict("blocked", reason, code="bad-answer"))
        else:
            self._ask(state, words.NOT_JSON.format(problem))


def _end(state: SupervisorState, judgement: Judgement, seq: int) -> None:
    value: Any = msgspec.to_builtins(judgement)
    reason = f"judged: {judgement.verdict}" + (f" ({judgement.reason})" if judgement.reason else "")
    state.finish = Finish(Verdict("done", reason, (seq,)), (DataPart(value),))
