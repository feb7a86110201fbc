"""What a step performs: its command with every template filled, and the question before it."""

from typing import Any, cast

import msgspec

from agenthost.core import templates
from agenthost.core.commands import CallTool, Command, RunCommand, StartChild
from agenthost.core.media import named_type
from agenthost.core.parts import FilePart, Part, TextPart
from agenthost.programs.answers import safe
from agenthost.programs.checking import checks as checking
from agenthost.programs.workflow.plan import Plan, StepPlan
from agenthost.programs.workflow.provenance import given
from agenthost.programs.workflow.results import as_files
from agenthost.programs.workflow.state import StepState, WorkflowState
from agenthost.programs.workflow.values import Wrong

MAX_ITEMS = 10_000
"""The most items of one `foreach`."""


def base_id(step: str, state: StepState, item: int, foreach: bool) -> str:
    """What the ids of a step's commands begin with: `code-1`, or `build-1-0` for an item."""
    return f"{step}-{state.attempt}-{item}" if foreach else f"{step}-{state.attempt}"


def items_of(value: Any) -> list[Any] | Wrong:
    """What a step's `foreach` goes over."""
    if not isinstance(value, list | tuple):
        return Wrong(
            f"`foreach` must give a list, and gave {msgspec.json.encode(value)[:80].decode('utf-8', 'replace')}"
        )
    items = list(cast("list[Any]", value))
    if len(items) > MAX_ITEMS:
        return Wrong(f"`foreach` gave {len(items):,} items; the most is {MAX_ITEMS:,}")
    return items


def command_of(state: WorkflowState, plan: Plan, step: StepPlan, values: dict[str, Any]) -> Command | Wrong:
    """The command of one run of a step, without its id."""
    manifest = step.step
    if manifest.line is not None:
        line = templates.render(templates.parse(manifest.line), values)
        probe = manifest.probe.probe() if manifest.probe else None
        network = bool(plan.spec.sandbox.hosts)
        return RunCommand("", line, manifest.timeout or plan.spec.sandbox.timeout, network, probe)
    if manifest.check is not None:
        return checking.command(manifest.check, "", bool(plan.spec.sandbox.hosts))
    if manifest.tool is not None:
        pinned = plan.bundle.tools.get(manifest.tool)
        if pinned is None:
            return Wrong(f"there is no tool '{manifest.tool}'")
        arguments = templates.fill(manifest.with_, values)
        return CallTool("", manifest.tool, arguments, safe=safe(pinned, plan.spec.sandbox))
    if manifest.workflow is not None:
        inputs, trust = templates.fill(manifest.with_, values), given(state, plan, manifest, step.sources)
        return StartChild("", "workflow", manifest.workflow, inputs=inputs, trust=trust)
    files = _files(state, values[manifest.files]) if manifest.files else ()
    if isinstance(files, Wrong):
        return files
    role = manifest.role or ""
    parts: tuple[Part, ...] = (TextPart(_prompt(state, step, values)), *files)
    return StartChild(
        "",
        "agent",
        plan.spec.roles[role].agent,
        parts,
        role=role,
        trust=given(state, plan, manifest, step.sources),
    )


def _prompt(state: WorkflowState, step: StepPlan, values: dict[str, Any]) -> str:
    """What a role is told, and why the work came back to it."""
    prompt = templates.render(templates.parse(step.step.prompt), values)
    feedback = state.steps[step.step.id].feedback
    return f"{prompt}\n\n{feedback}" if feedback and not step.tells else prompt


def _files(state: WorkflowState, value: Any) -> tuple[FilePart, ...] | Wrong:
    wanted = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
    found: list[FilePart] = []
    for file in wanted:
        if isinstance(file, str):
            digest = state.files.get(file)
            if digest is None:
                return Wrong(f"`files`: no step of this workflow wrote a file '{file}'")
            found.append(FilePart(digest, named_type(file), 0, file))
            continue
        parts = as_files(file)
        if parts is None:
            return Wrong("`files` must give files, such as input.sketch or steps.ID.files")
        found += parts
    return tuple(found)
