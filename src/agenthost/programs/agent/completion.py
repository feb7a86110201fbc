"""What comes out of a task that ends before its work is done."""

from agenthost.core.errors import Failure
from agenthost.core.parts import Part, TextPart
from agenthost.programs.agent.state import AgentState


def said(state: AgentState) -> tuple[Part, ...]:
    """What the model said last, as what comes out of a task that ended early."""
    text = state.partial or state.last_text
    return (TextPart(text),) if text.strip() else ()


def failed(state: AgentState, failure: Failure, before: str = "") -> None:
    """End a task whose model, script or checks can't be had or may not be called."""
    outcome = "partly" if failure.code == "budget" else "blocked"
    state.end(outcome, before + failure.message, failure.code, parts=said(state))
