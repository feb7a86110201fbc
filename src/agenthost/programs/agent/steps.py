"""From what has happened to the next turn of the model: the stage is chosen, the script writes its
instructions, then the exchange is fitted."""

from agenthost.core.commands import Evaluate
from agenthost.core.models import Turn
from agenthost.core.parts import TextPart
from agenthost.programs.agent import context
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.fitting import fit
from agenthost.programs.agent.state import AgentState


def tell(state: AgentState, d: Definition, text: str) -> None:
    """Tell the model something in the host's words, and let it go on."""
    context.add(state, Turn("user", (TextPart(text),)), d.model)
    to_turn(state, d)


def to_turn(state: AgentState, d: Definition) -> None:
    """Towards the next turn of the model. Called again before it is asked for, it starts anew."""
    state.replan()
    state.closing = False
    state.prepared = ()
    prepare(state, d)


def prepare(state: AgentState, d: Definition) -> None:
    """Ask the script and the stage's condition first, where there are any; then fit and call."""
    for name in preparations(state, d):
        if name not in state.prepared:
            evaluate(state, d, name)
            return
    fit(state, d)


def preparations(state: AgentState, d: Definition) -> list[str]:
    """What is evaluated before the next turn: who chooses the stage, and what writes instructions."""
    wanted: list[str] = []
    stage = d.stage(state.stage)
    if "stage" in d.functions and stage is not None:
        wanted.append("stage")
    elif stage is not None and stage.when and state.stage_turns > 0 and d.after(stage.id) != stage.id:
        wanted.append("when")
    if "instructions" in d.functions and not state.closing:
        wanted.append("instructions")
    # Once a condition has moved the agent on, that of the stage it came to waits for a turn in it.
    return [name for name in wanted if name != "when" or "when" not in state.prepared]


def evaluate(state: AgentState, d: Definition, name: str) -> None:
    """Ask for a stage's condition, or for a function of the script."""
    state.phase = "prepare"
    stage = d.stage(state.stage)
    id = f"e{state.evaluations + 1}"
    if name == "when" and stage is not None:
        state.want(Evaluate(id, {"when": stage.when}))
    else:
        state.want(Evaluate(id, function=name))
