"""The program of a workflow, as the engine drives it."""

from collections.abc import Sequence

import msgspec

from agenthost.core.commands import CallModel, Command, Evaluate, Finish, RunCommand, StartChild
from agenthost.core.definitions import Bundle
from agenthost.core.errors import NotFound, nearest
from agenthost.core.events import Asked, Created, Received, Recorded
from agenthost.core.models import ModelRequest
from agenthost.core.parts import TextPart
from agenthost.core.ports import Evaluation
from agenthost.core.tasks import TaskSpec
from agenthost.programs import deadline
from agenthost.programs.base import shared_commands, track
from agenthost.programs.workflow.flow import Flow
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.state import StepState, WorkflowState
from agenthost.programs.workflow.values import names


class WorkflowProgram:
    """Fulfils `core.ports.Program` for the workflows of a bundle.

    Everything moves in `apply`; `decide` only says what is wanted and not asked yet.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._plans = {name: Plan(name, bundle) for name in bundle.workflows}

    def initial(self, spec: TaskSpec) -> WorkflowState:
        """Raises NotFound where the bundle has no such workflow."""
        if spec.name not in self._plans:
            known = nearest(spec.name, list(self._plans))
            raise NotFound(f"there is no workflow '{spec.name}' in this task's definitions. {known}")
        plan = self._plans[spec.name]
        defaults = {name: given.default for name, given in plan.spec.input.items()}
        return WorkflowState(spec=spec, inputs=defaults | spec.inputs, steps={id: StepState() for id in plan.steps})

    def apply(self, state: WorkflowState, recorded: Recorded) -> WorkflowState:
        event = recorded.event
        delivery = track(state, recorded)
        if isinstance(event, Asked):
            state.unwant(event.command.id)
        elif isinstance(event, Created):
            Flow(state, self._plan(state)).start()
        elif isinstance(event, Received):
            said = TextPart(f"While this work went on, {event.message.sender} said:")
            state.heard = (*state.heard, said, *event.message.parts)
        elif delivery is not None:
            Flow(state, self._plan(state)).deliver(delivery)
        return state

    def decide(self, state: WorkflowState) -> Sequence[Command | Finish]:
        if state.finished is not None:
            return ()
        shared = list(shared_commands(state))
        if any(isinstance(command, Finish) for command in shared):
            return shared
        if state.finish is not None:
            return (state.finish,)
        return [*shared, *deadline.held(state, _one_writer(state))]

    def render(self, state: WorkflowState, command: CallModel) -> ModelRequest:
        raise NotImplementedError("a workflow asks no model; its roles' agents do")

    def bind(self, state: WorkflowState, command: Evaluate) -> Evaluation:
        route = state.routes.get(command.id)
        if route is None:
            return Evaluation({}, {})
        bound = names(state, self._plan(state), route, command.expressions.values())
        return Evaluation(command.expressions, bound)

    def _plan(self, state: WorkflowState) -> Plan:
        return self._plans[state.spec.name]


def _one_writer(state: WorkflowState) -> list[Command]:
    """What is wanted now, so that at most one writer at a time works in the task's own files.

    A sandbox command waits until no other and no child works there. A child has a copy where
    another writer is open or begins with it.
    """
    children = [command for command in state.pending.values() if isinstance(command, StartChild)]
    if not children and not state.queue:
        return list(state.pending.values())
    writers = [entry.command for entry in state.open.values() if isinstance(entry.command, RunCommand | StartChild)]
    here = any(isinstance(command, RunCommand) or command.workspace == "shared" for command in writers)
    runs = [] if here else list(state.queue.values())[:1]
    alone = len(children) == 1 and not writers and not runs
    wanted: list[Command] = []
    for command in state.pending.values():
        if isinstance(command, StartChild):
            command = msgspec.structs.replace(command, workspace="shared" if alone else "copy")
        wanted.append(command)
    return [*wanted, *runs]
