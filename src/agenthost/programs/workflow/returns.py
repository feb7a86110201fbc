"""Going back: a step that failed sends the work back to an earlier one, with feedback, at most so often."""

from typing import Any

from agenthost.core import templates
from agenthost.core.commands import CallTool, Stop
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.state import NO_ITEM, Route, WorkflowState
from agenthost.programs.workflow.values import Wrong, ask


class Returns:
    """The returns of a workflow. What is set back is stopped first, then everything goes back at once."""

    def __init__(self, state: WorkflowState, plan: Plan) -> None:
        self._state = state
        self._plan = plan

    def settle(self) -> tuple[bool, frozenset[str]]:
        """Go back where all has stopped. Whether that was done, and the steps that may not begin meanwhile."""
        steps = self._state.steps
        returning = [id for id, step in steps.items() if step.phase == "returning"]
        ready = next((id for id in returning if steps[id].telling is not None and self._drained(id)), None)
        if ready is not None:
            self._go_back(ready)
            returning.remove(ready)
        return ready is not None, frozenset[str]().union(*(self._plan.steps[id].redone for id in returning))

    def send_back(self, id: str) -> None:
        """A step has failed and may send the work back: stop what will be done again, render the feedback."""
        step, plan = self._state.steps[id], self._plan.steps[id]
        step.phase, step.telling = "returning", None
        for other in plan.redone:
            if self._state.steps[other].phase == "running":
                self._state.steps[other].phase = "dropped"
                self._drop(other)
        values = ask(
            self._state, self._plan, f"{id}-{step.attempt}-feedback", Route(id, NO_ITEM, "feedback"), plan.feedback
        )
        if values is not None:
            self.tell(id, values)

    def _drop(self, id: str) -> None:
        """Stop what a step has under way; a tool that was called is waited for, and so is an expression."""
        state = self._state
        for command, route in [pair for pair in state.routes.items() if pair[1].step == id]:
            if state.unwant(command) or route.what in ("timeout", "delay"):
                del state.routes[command]
            elif route.what in ("act", "approval") and not state.steps[id].items[route.item].timed_out:
                entry = state.open.get(command)
                if entry is not None and not isinstance(entry.command, CallTool):
                    state.want(Stop(f"{command}-stop", command))

    def tell(self, id: str, values: dict[str, Any] | Wrong) -> None:
        """The values of the feedback's expressions are there. Without feedback the reason is told."""
        step, on_fail = self._state.steps[id], self._plan.steps[id].step.onFail
        assert on_fail is not None
        told = ""
        if not isinstance(values, Wrong):
            told = templates.render(templates.parse(on_fail.feedback), values)
        reason = step.result["reason"] if step.result else ""
        step.telling = told or f"The step '{id}' failed: {reason}"

    def _drained(self, id: str) -> bool:
        """Whether nothing of what is set back is under way any more."""
        others = frozenset(self._plan.steps[id].redone) - {id}
        if any(self._state.steps[other].phase == "returning" for other in others):
            return False
        return all(route.step not in others for route in self._state.routes.values())

    def _go_back(self, id: str) -> None:
        step, plan = self._state.steps[id], self._plan.steps[id]
        assert plan.step.onFail is not None
        told, step.telling = step.telling or "", None
        step.returns += 1
        for other in plan.redone:
            again = self._state.steps[other]
            if again.phase != "waiting":
                again.phase, again.feedback, again.items, again.left = "waiting", "", [], 0
            if other in plan.inner:
                again.returns, again.notes = 0, []
        goal = self._state.steps[plan.step.onFail.goto]
        goal.feedback = f"{goal.feedback}\n\n{told}" if goal.feedback else told
