"""What expressions see, and what they come to: paths at once, the rest by an `Evaluate` command."""

from collections.abc import Iterable
from typing import Any, cast

from msgspec import Struct

from agenthost.core.commands import Evaluate
from agenthost.core.errors import AgentHostError
from agenthost.core.events import Value
from agenthost.core.expressions import lookup
from agenthost.core.parts import text_of
from agenthost.programs.base import Delivery
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.results import NOT_RUN
from agenthost.programs.workflow.state import NO_ITEM, Route, WorkflowState


class Wrong(Struct, frozen=True):
    """Why an expression has no value."""

    message: str


def names(state: WorkflowState, plan: Plan, route: Route, sources: Iterable[str]) -> dict[str, Any]:
    """The names that `sources` read, as the step of `route` sees them; of `steps` only those named."""
    paths = [path for source in sources for path in plan.reads(source)]
    roots = {path[0] for path in paths}
    bound: dict[str, Any] = {"input": state.inputs}
    if "steps" in roots:
        bound["steps"] = _steps(state, [path[1] if len(path) > 1 else None for path in paths if path[0] == "steps"])
    if "task" in roots:
        spec = state.spec
        bound["task"] = {"id": spec.id, "title": spec.title, "text": text_of(spec.message.parts)}
    if route.step:
        bound |= _own(state, plan, route)
    return {name: value for name, value in bound.items() if name in roots}


def _own(state: WorkflowState, plan: Plan, route: Route) -> dict[str, Any]:
    """The names that only a step itself sees."""
    step = state.steps[route.step]
    own: dict[str, Any] = {"feedback": step.feedback, "attempt": step.attempt}
    if route.what == "feedback":
        own["result"] = step.result
    if route.item != NO_ITEM:
        item = step.items[route.item]
        if plan.steps[route.step].step.foreach:
            own |= {"item": item.value, "index": route.item}
        if route.what == "passes":
            own["result"] = item.result
    return own


def _steps(state: WorkflowState, wanted: list[str | int | None]) -> dict[str, Any]:
    every = any(id not in state.steps for id in wanted)
    found = state.steps if every else cast("list[str]", wanted)
    return {id: state.steps[id].result or NOT_RUN for id in found}


def ask(
    state: WorkflowState, plan: Plan, id: str, route: Route, sources: tuple[str, ...]
) -> dict[str, Any] | Wrong | None:
    """The values of `sources` by source; None where they were asked for under `id`."""
    complex_ones = [source for source in sources if plan.path(source) is None]
    if not complex_ones:
        return _simple(state, plan, route, sources)
    state.want(Evaluate(id, {f"e{index}": source for index, source in enumerate(complex_ones)}), route)
    return None


def answered(
    state: WorkflowState, plan: Plan, route: Route, sources: tuple[str, ...], delivery: Delivery
) -> dict[str, Any] | Wrong:
    """The values of `sources` once those that had to be evaluated are there."""
    if delivery.failure is not None:
        return Wrong(delivery.failure.message)
    command, answer = delivery.command, delivery.answer
    if not isinstance(answer, Value) or not isinstance(command, Evaluate):
        return Wrong("the expressions were answered with something that is not their values")
    missing = [source for key, source in command.expressions.items() if key not in answer.values]
    if missing:
        return Wrong(f"`{missing[0]}` was not evaluated")
    found = _simple(state, plan, route, tuple(source for source in sources if plan.path(source) is not None))
    if isinstance(found, Wrong):
        return found
    return found | {source: answer.values[key] for key, source in command.expressions.items()}


def _simple(state: WorkflowState, plan: Plan, route: Route, sources: tuple[str, ...]) -> dict[str, Any] | Wrong:
    bound = names(state, plan, route, sources)
    found: dict[str, Any] = {}
    for source in sources:
        try:
            found[source] = lookup(plan.path(source) or (), bound)
        except AgentHostError as error:
            return Wrong(f"`{source}`: {error.message}")
    return found
