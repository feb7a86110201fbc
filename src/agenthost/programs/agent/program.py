"""The agent as a program: what it asks for next, and what each event means to it."""

import msgspec

from agenthost.core.checks import Seen
from agenthost.core.commands import CallModel, Command, Evaluate, Finish
from agenthost.core.definitions import Bundle
from agenthost.core.events import Asked, Created, Received, Recorded
from agenthost.core.models import ModelRequest
from agenthost.core.parts import Message
from agenthost.core.ports import Evaluation
from agenthost.core.tasks import TaskSpec, Terms
from agenthost.programs import deadline
from agenthost.programs.agent import (
    calls,
    completion,
    context,
    fitting,
    provenance,
    proving,
    receipts,
    script,
    steps,
    turns,
)
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.base import Delivery, shared_commands, track

MOST_DEFINITIONS = 256
"""Definitions that are kept: one for each agent, and one for each task with terms; the oldest is made again when needed."""


class AgentProgram:
    """The program of every agent of one bundle.

    `apply` works out what is wanted next and `decide` hands it over, so that deciding costs nothing.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._definitions: dict[str, Definition] = {}

    def initial(self, spec: TaskSpec) -> AgentState:
        """The state before the first event."""
        return AgentState(spec=spec)

    def apply(self, state: AgentState, recorded: Recorded) -> AgentState:
        """What an event means to the agent."""
        delivery = track(state, recorded)
        event = recorded.event
        if state.finished is not None:
            state.wanted.clear()
            self._definitions.pop(state.spec.id, None)
        elif isinstance(event, Created):
            self._begin(state)
        elif isinstance(event, Asked):
            _asked(state, event.command)
        elif isinstance(event, Received):
            self._received(state, event.message)
        elif delivery is not None and state.finish is None:
            self._take(state, delivery)
        return state

    def decide(self, state: AgentState) -> list[Command | Finish]:
        """What should happen now."""
        if state.finished is not None:
            return []
        shared = list(shared_commands(state))
        if state.cancel is not None:
            return shared
        return [state.finish] if state.finish is not None else [*shared, *deadline.held(state, state.wanted)]

    def render(self, state: AgentState, command: CallModel) -> ModelRequest:
        """The request that a CallModel stands for."""
        d = self._definition(state)
        person = f"{state.spec.namespace}/{state.spec.person}"
        metadata = {"task": state.spec.id, "agent": state.spec.name, "purpose": command.purpose, "person": person}
        if command.purpose == "summary":
            return fitting.summary_request(state, command, metadata)
        if command.purpose == provenance.READING:
            return provenance.reading_request(state, self._definition(state), command, metadata)
        if command.purpose == "script":
            return script.request(state, d, command, metadata)
        box = d.toolbox(state.stage)
        extra = state.extra_instructions
        exchange = context.shown(state, command.view)
        return ModelRequest(
            command.model,
            f"{box.instructions}\n\n{extra}" if extra and box.instructions else box.instructions or extra,
            provenance.fenced(exchange) if box.effects else exchange,
            box.specs,
            # Servers differ in what they do with a schema beside tools; then the instructions alone say it.
            d.spec.output if d.model.structured and not box.specs else None,
            command.max_output,
            d.spec.temperature,
            command.id,
            metadata,
            d.spec.reasoning,
        )

    def bind(self, state: AgentState, command: Evaluate) -> Evaluation:
        """Everything that an Evaluate needs."""
        d = self._definition(state)
        return (
            proving.evaluation(state, d, command) if state.phase == "checks" else script.evaluation(state, d, command)
        )

    def _definition(self, state: AgentState) -> Definition:
        spec, terms = state.spec, state.spec.terms
        # What was said before changes no definition: then it is that of all tasks of this agent.
        own = terms is not None and msgspec.structs.replace(terms, history=()) != Terms()
        key = spec.id if own else f"agent/{spec.name}"
        found = self._definitions.get(key)
        if found is None:
            if len(self._definitions) >= MOST_DEFINITIONS:
                self._definitions.pop(next(iter(self._definitions)))
            found = self._definitions[key] = Definition(self._bundle, spec.name, terms if own else None)
        return found

    def _begin(self, state: AgentState) -> None:
        d = self._definition(state)
        state.stage = d.spec.stages[0].id if d.spec.stages else ""
        state.wanted += deadline.begin(state, d.spec.budget)
        provenance.begin(state, d)
        if state.spec.terms is not None:
            context.recall(state, state.spec.terms.history, d.model)
        if d.baseline:
            proving.baseline(state)
        else:
            self._open(state, d)

    def _open(self, state: AgentState, d: Definition) -> None:
        """Begin the work itself."""
        if "on_message" in d.functions:
            script.start(state, state.spec.message)
        else:
            context.hear(state, state.spec.message, d.model)
            steps.to_turn(state, d)

    def _received(self, state: AgentState, message: Message) -> None:
        """A message came: it is heard at the next step, which may be the one that is about to be asked for."""
        d = self._definition(state)
        if state.finish is not None:
            if state.finish.verdict.code:
                return
            state.finish = None
            if state.phase == "script":
                script.start(state, message)
                return
            state.waiting.append(message)
            steps.to_turn(state, d)
            return
        state.waiting.append(message)
        if state.phase in ("turn", "prepare") and any(isinstance(c, CallModel | Evaluate) for c in state.wanted):
            steps.to_turn(state, d)

    def _take(self, state: AgentState, delivery: Delivery) -> None:
        d, command = self._definition(state), delivery.command
        if deadline.concerns(delivery.id):
            if not (more := deadline.take(state, d.spec.budget, delivery)):
                state.end("partly", deadline.used_up(state, d.spec.budget), "budget", parts=completion.said(state))
            state.wanted += more
            return
        receipts.remember(state, d, delivery)
        if state.phase in ("checks", "judged"):
            proving.take(state, d, delivery)
        elif delivery.id == proving.BASELINE:
            self._based(state, d, delivery)
        elif isinstance(command, Evaluate):
            script.evaluated(state, d, delivery, command)
        elif state.phase == "script":
            script.taken(state, d, delivery)
        elif isinstance(command, CallModel) and command.purpose == "turn":
            turns.answered(state, d, delivery, command)
        elif isinstance(command, CallModel) and command.purpose == provenance.READING:
            calls.understood(state, d, delivery)
        elif isinstance(command, CallModel):
            fitting.summed_up(state, d, delivery, command)
        elif calls.take(state, d, delivery) is not None:
            calls.next_turn(state, d)

    def _based(self, state: AgentState, d: Definition, delivery: Delivery) -> None:
        if isinstance(delivery.answer, Seen):
            state.proof.baseline = delivery.answer.facts["files"]
            state.proof.cut = delivery.answer.facts["cut"]
            self._open(state, d)
        elif delivery.failure is not None:
            completion.failed(state, delivery.failure, "the files could not be looked at: ")


def _asked(state: AgentState, command: Command) -> None:
    """A command was asked for: it is no longer wanted."""
    state.wanted = [wanted for wanted in state.wanted if wanted.id != command.id]
    if isinstance(command, Evaluate):
        state.evaluations += 1
    elif "~" in command.id:
        return  # a budget had no room for it before
    elif isinstance(command, CallModel) and command.purpose == "turn":
        state.model_calls += 1
        state.stage_turns += 1
    elif isinstance(command, CallModel) and command.purpose == "summary":
        state.summaries += 1
