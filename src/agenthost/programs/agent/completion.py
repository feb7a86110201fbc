"""When the work is done: the model says nothing more (`quiet`), says so (`agent`), or the host's checks pass (`checks`)."""

from agenthost.core.commands import RunCommand
from agenthost.core.errors import Failure
from agenthost.core.events import RunResult
from agenthost.core.manifests.agent import Check
from agenthost.core.parts import Part, TextPart
from agenthost.programs.agent.state import AgentState

OUTPUT_SHOWN = 4000
"""Characters of a check's output that go back to the agent: its end, where the error stands."""


def said(state: AgentState) -> tuple[Part, ...]:
    """What the model said last, as what comes out of a task that ended early."""
    text = state.partial or state.last_text
    return (TextPart(text),) if text.strip() else ()


def failed(state: AgentState, failure: Failure, before: str = "") -> None:
    """End a task whose model, script or checks can't be had or may not be called."""
    outcome = "partly" if failure.code == "budget" else "blocked"
    state.end(outcome, before + failure.message, failure.code, parts=said(state))


def check_command(state: AgentState, check: Check, network: bool) -> RunCommand:
    """The command of the check that is next."""
    probe = check.probe.probe() if check.probe else None
    return RunCommand(f"c{state.rounds + 1}-{state.check}", check.line, check.timeout, network, probe)


def feedback(check: Check, why: str, result: RunResult) -> str:
    """What the agent is told of a check that failed."""
    output = result.stdout.strip()
    if result.stderr.strip():
        output += ("\n" if output else "") + "--- stderr ---\n" + result.stderr.strip()
    if len(output) > OUTPUT_SHOWN:
        told = f"[... {len(output) - OUTPUT_SHOWN} characters before this are left out ...]\n"
        output = told + output[-OUTPUT_SHOWN:]
    return f"The check `{check.line}` failed: {why}.\n{output or '(It printed nothing.)'}"
