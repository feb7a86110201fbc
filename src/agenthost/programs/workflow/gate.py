"""What stands between a step and its performance: whether a person is asked first, and what they are shown."""

from typing import Any

import msgspec

from agenthost.core import templates
from agenthost.core.commands import Ask, CallTool, Command, RunCommand, StartChild
from agenthost.core.manifests.asking import guards
from agenthost.core.manifests.workflow import Step
from agenthost.core.parts import FilePart, text_of
from agenthost.programs.answers import Why, approval
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.state import Item, WorkflowState


def opening(step: Step, values: dict[str, Any]) -> str:
    """The first line of the question before a step, in its manifest's words; empty where it has none."""
    if step.approve is None or not step.approve.message:
        return ""
    return templates.render(templates.parse(step.approve.message), values)


def gated(state: WorkflowState, plan: Plan, step: Step, base: str, item: Item, why: Why | None) -> Ask | None:
    """The approval that must come before a step's command, None where it needs none. `why`: that untrusted content
    decided it."""
    given, tool, command = plan.spec.approvals, step.tool, item.command
    assert command is not None
    if step.approve is not None:
        given = step.approve.over(given)
    elif why is None and not _always(plan, command):
        return None
    what = tool or f"step:{step.id}"
    told = item.question or (f"May the tool '{tool}' be called with these arguments?" if tool else _told(step, command))
    return approval(
        base, what, _arguments(command), given, state.spec.asking, msgspec.structs.replace(why or Why(), told=told)
    )


def _always(plan: Plan, command: Command) -> bool:
    """Whether each call of a step's tool needs one."""
    if not isinstance(command, CallTool):
        return False
    return plan.bundle.tools[command.tool].approval or guards(plan.spec.approvals, command.tool)


def _told(step: Step, command: Command) -> str:
    if isinstance(command, RunCommand):
        return f"May the step '{step.id}' run this command in the sandbox?"
    name = command.name if isinstance(command, StartChild) else ""
    what = f"workflow '{name}'" if step.workflow else f"agent '{name}'"
    return f"May the step '{step.id}' give this work to the {what}?"


def _arguments(command: Command) -> dict[str, Any]:
    """Exactly what will be done."""
    if isinstance(command, CallTool):
        return command.arguments
    if isinstance(command, RunCommand):
        return {"command": command.command} | ({"network": True} if command.network else {})
    assert isinstance(command, StartChild)
    if command.kind == "workflow":
        return {"workflow": command.name, "inputs": command.inputs}
    files = [f"{part.name} ({part.digest})" for part in command.parts if isinstance(part, FilePart)]
    return {"agent": command.name, "prompt": text_of(command.parts)} | ({"files": files} if files else {})
