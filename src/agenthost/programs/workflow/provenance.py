"""Where a workflow's values come from: what each step's result goes by, and a step with a side effect that untrusted
content decided. The plan itself is the manifest's: only values and conditions are looked at."""

from collections.abc import Iterable
from typing import Any

from agenthost.core import templates
from agenthost.core.commands import CallTool, Command, RunCommand
from agenthost.core.events import Answer, ChildResult, RunResult
from agenthost.core.manifests.workflow import Step
from agenthost.core.parts import FilePart, text_of
from agenthost.core.trust import Given
from agenthost.programs.answers import Why
from agenthost.programs.trust.asking import reason
from agenthost.programs.trust.rule import Doubt, Known, effect, judge
from agenthost.programs.trust.state import MOST_SOURCES
from agenthost.programs.trust.words import Words
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.state import WorkflowState


def merged(*found: Iterable[str]) -> tuple[str, ...]:
    """Sources, each once, as many as are remembered."""
    return tuple(dict.fromkeys(source for sources in found for source in sources))[:MOST_SOURCES]


def everything(state: WorkflowState) -> tuple[str, ...]:
    """All that was read so far that a stranger can have written."""
    return merged(state.spec.trust.sources if state.spec.trust else (), *state.sources.values())


def took(state: WorkflowState, plan: Plan, step: str, command: Command, answer: Answer | None) -> None:
    """A step has an answer (None: a failure): what that goes by."""
    found: tuple[str, ...] = ()
    if not plan.bundle.rules:
        return
    if isinstance(answer, ChildResult):
        found = answer.sources
    elif isinstance(answer, RunResult) or isinstance(command, RunCommand):
        found = merged(everything(state), _files(state))
    elif isinstance(command, CallTool):
        tool = plan.bundle.tools[command.tool]
        if not ((tool.trusted and not tool.source) or command.tool in plan.spec.trust.results):
            found = (f"the result of {command.tool} in the step '{step}'",)
    if found:
        state.sources[step] = merged(state.sources.get(step, ()), found)


def given(state: WorkflowState, plan: Plan, step: Step, sources: Iterable[str]) -> Given | None:
    """What the child of a step is told of where its order comes from; `sources` are the expressions in that."""
    if not plan.bundle.rules:
        return None
    listed = tuple(sources)
    why = everything(state) if state.steps[step.id].feedback else ()
    found = merged(_reads(state, plan, step, listed), _material(state, plan, listed), why)
    return Given((*_said(state, plan), step.prompt), found) if found else None


def guarded(state: WorkflowState, plan: Plan, step: Step, command: Command) -> Why | str | None:
    """Why a person is asked before a step that untrusted content decided, why it is refused, or None where it may be done."""
    trust = plan.spec.trust
    if not plan.bundle.rules or trust.mode == "off" or not isinstance(command, CallTool | RunCommand):
        return None
    if isinstance(command, RunCommand):
        sources = merged(everything(state), _files(state)) if command.network and step.id not in trust.actions else ()
        doubts = [Doubt("", "", "what was made of that is run with a network")] if sources else []
    else:
        doubts, sources = _doubts(state, plan, step, command)
    if not doubts:
        return None
    why = reason(doubts, sources)
    if trust.mode == "refuse":
        return f"not called: a stranger may have decided it, and the workflow's manifest refuses that. {why}"
    return Why(reason=why, untrusted=True)


def _doubts(state: WorkflowState, plan: Plan, step: Step, command: CallTool) -> tuple[list[Doubt], tuple[str, ...]]:
    tool, trust = plan.bundle.tools[command.tool], plan.spec.trust
    network = bool(plan.spec.sandbox.hosts)
    kind = effect(tool, network)
    if not kind:
        return [], ()
    by = {name: _reads(state, plan, step, templates.sources(value)) for name, value in step.with_.items()}
    arguments = {name: value for name, value in command.arguments.items() if by.get(name)}
    whether = _reads(state, plan, step, [step.if_, step.foreach]) if kind == "acts" else ()
    sources = everything(state) if kind == "runs" else merged(whether, *by.values())
    if not sources:
        return [], ()
    # That the step is there at all is the manifest's word, unless something that was read says whether it is done.
    planned = trust.model_copy(update={"actions": (*trust.actions, tool.name) if kind == "acts" else trust.actions})
    manifest = Words(templates.text_of(value) for value in step.with_.values())
    known = Known(Words(_said(state, plan)), manifest, (), 0, state.files)
    found = [
        Doubt(doubt.argument, doubt.value, f"from {', '.join(sources[:3])}" if doubt.argument else doubt.origin)
        for doubt in judge(tool, arguments, planned, known, network).doubts
    ]
    if whether and tool.name not in trust.actions:
        found.append(Doubt("", "", f"its `if` or `foreach` goes by {', '.join(whether[:3])}"))
    return found, sources


def _reads(state: WorkflowState, plan: Plan, step: Step, sources: Iterable[str]) -> tuple[str, ...]:
    """What the values of expressions go by that a stranger can have written."""
    found: tuple[str, ...] = ()
    for path in (path for source in sources if source for path in plan.reads(source)):
        if path[0] == "steps":
            named = state.sources.get(str(path[1])) if len(path) > 1 and path[1] in state.steps else None
            exact = len(path) > 1 and path[1] in state.steps
            found = merged(found, (named or ()) if exact else everything(state))
        elif path[0] == "feedback":
            found = merged(found, everything(state))
        elif path[0] == "item" and step.foreach:
            found = merged(found, _reads(state, plan, step, [step.foreach]))
        elif path[0] == "input" and state.spec.trust is not None:
            found = merged(found, state.spec.trust.sources)
    return found


def _material(state: WorkflowState, plan: Plan, sources: Iterable[str]) -> tuple[str, ...]:
    """The inputs and the title among what expressions read that are material, not a person's order."""
    found: list[str] = []
    for path in (path for source in sources for path in plan.reads(source)):
        if path[0] == "input":
            names = [str(path[1])] if len(path) > 1 else list(state.inputs)
            found += [f"the input '{name}'" for name in names if not _plain(state, plan, name)]
        elif path[0] == "task" and path[1:2] != ("text",) and path[1:2] != ("id",):
            found.append("the task's title")
    return tuple(found)


def _plain(state: WorkflowState, plan: Plan, name: str) -> bool:
    """Whether an input is a person's word: one that the manifest trusts, or a single word, number or address."""
    spec, value = plan.spec.input.get(name), state.inputs.get(name)
    if spec is not None and (spec.trusted or value == spec.default):
        return True
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and len(value.split()) <= 1)


def _said(state: WorkflowState, plan: Plan) -> tuple[str, ...]:
    """A person's words: those that came beside the order of a task above, or the message and what is plain of the inputs."""
    if state.spec.trust is not None:
        return state.spec.trust.words
    plain: list[Any] = [value for name, value in state.inputs.items() if _plain(state, plan, name)]
    return (text_of(state.spec.message.parts), *map(str, plain))


def _files(state: WorkflowState) -> tuple[str, ...]:
    """The files that the work began with."""
    given = any(isinstance(part, FilePart) for part in state.spec.message.parts)
    return ("the files that came with the task",) if given or _holds_file(state.inputs) else ()


def _holds_file(inputs: dict[str, Any]) -> bool:
    return any(isinstance(value, dict) and "digest" in value for value in inputs.values())
