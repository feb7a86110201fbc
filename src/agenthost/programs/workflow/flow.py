"""Which steps begin, which are skipped, what a failed one does to the others, and the workflow's end."""

from typing import Any

from agenthost.core import templates
from agenthost.core.commands import Command, Finish, Verdict
from agenthost.core.parts import Part
from agenthost.programs import deadline
from agenthost.programs.base import Delivery
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.provenance import everything
from agenthost.programs.workflow.results import NOT_RUN, Taken, as_parts, clip, combined, result_parts
from agenthost.programs.workflow.returns import Returns
from agenthost.programs.workflow.runs import Runs
from agenthost.programs.workflow.state import NO_ITEM, Item, Route, WorkflowState
from agenthost.programs.workflow.steps import items_of
from agenthost.programs.workflow.values import Wrong, answered, ask

OUTPUT = "output"

MAX_NOTES = 10
"""How many of a step's failures are kept for the reason at the end."""


class Flow:
    """Moves a workflow's state on after an event, until only answers can move it further."""

    def __init__(self, state: WorkflowState, plan: Plan) -> None:
        self._state = state
        self._plan = plan
        self._runs = Runs(state, plan)
        self._returns = Returns(state, plan)

    def start(self) -> None:
        """The task came to be."""
        self._want_time(deadline.begin(self._state, self._plan.spec.budget))
        self._advance()

    def deliver(self, delivery: Delivery) -> None:
        """A command has its answer."""
        state = self._state
        route = state.routes.pop(delivery.id, None)
        if route is None or state.finish is not None:
            return
        if route.step and state.steps[route.step].phase == "dropped":
            state.wrote(getattr(delivery.answer, "changes", {}))
        elif deadline.concerns(delivery.id):
            if not (more := deadline.take(state, self._plan.spec.budget, delivery)):
                self._out_of_time()
            self._want_time(more)
        elif route.what == "output":
            self._output(answered(state, self._plan, route, self._plan.output, delivery))
        elif route.what == "if":
            sources = (self._plan.steps[route.step].step.if_,)
            self._decided(route.step, answered(state, self._plan, route, sources, delivery))
        elif route.what == "foreach":
            sources = (self._plan.steps[route.step].step.foreach,)
            self._spread(route.step, answered(state, self._plan, route, sources, delivery))
        elif route.what == "feedback":
            sources = self._plan.steps[route.step].feedback
            self._returns.tell(route.step, answered(state, self._plan, route, sources, delivery))
        else:
            self._runs.deliver(route, delivery)
            self._collect(route.step)
        self._advance()

    # --- which steps go ---------------------------------------------------------------------

    def _advance(self) -> None:
        steps = self._state.steps
        moved = True
        while moved and self._state.finish is None:
            gone_back, held = self._returns.settle()
            ready = [id for id, step in steps.items() if step.phase == "waiting" and id not in held and self._free(id)]
            for id in ready:
                self._begin(id)
                # What sends the work back at once holds others, and an end holds all.
                if steps[id].phase == "returning" or self._state.finish is not None:
                    break
            moved = gone_back or bool(ready)
        ended = all(step.phase == "ended" for step in steps.values())
        if ended and self._state.finish is None and OUTPUT not in self._state.routes:
            values = ask(self._state, self._plan, OUTPUT, Route("", NO_ITEM, "output"), self._plan.output)
            if values is not None:
                self._output(values)

    def _free(self, id: str) -> bool:
        return all(self._state.steps[need].phase == "ended" for need in self._plan.steps[id].needs)

    def _begin(self, id: str) -> None:
        step, condition = self._state.steps[id], self._plan.steps[id].step.if_
        step.phase, step.telling, step.evidence = "running", None, []
        step.attempt += 1
        if not condition:
            self._open(id)
            return
        values = ask(self._state, self._plan, f"{id}-{step.attempt}-if", Route(id, NO_ITEM, "if"), (condition,))
        if values is not None:
            self._decided(id, values)

    def _decided(self, id: str, values: dict[str, Any] | Wrong) -> None:
        step = self._state.steps[id]
        if isinstance(values, Wrong):
            self._failed(id, Taken(NOT_RUN, f"`if` can't be evaluated: {values.message}"))
        elif values[self._plan.steps[id].step.if_]:
            self._open(id)
        else:
            step.result = NOT_RUN | {"ok": True, "skipped": True, "attempt": step.attempt}
            step.phase = "ended"

    def _open(self, id: str) -> None:
        step, foreach = self._state.steps[id], self._plan.steps[id].step.foreach
        if not foreach:
            self._run(id, [Item()])
            return
        values = ask(self._state, self._plan, f"{id}-{step.attempt}-foreach", Route(id, NO_ITEM, "foreach"), (foreach,))
        if values is not None:
            self._spread(id, values)

    def _spread(self, id: str, values: dict[str, Any] | Wrong) -> None:
        if isinstance(values, Wrong):
            self._failed(id, Taken(NOT_RUN, f"`foreach` can't be evaluated: {values.message}"))
            return
        found = items_of(values[self._plan.steps[id].step.foreach])
        if isinstance(found, Wrong):
            self._failed(id, Taken(NOT_RUN, found.message))
        else:
            self._run(id, [Item(value) for value in found])

    def _run(self, id: str, items: list[Item]) -> None:
        step = self._state.steps[id]
        step.items, step.left = items, len(items)
        for index in range(len(items)):
            self._runs.start(id, index)
        self._collect(id)

    # --- how steps end ----------------------------------------------------------------------

    def _collect(self, id: str) -> None:
        step, plan = self._state.steps[id], self._plan.steps[id]
        if step.left:
            return
        items, step.items = step.items, []
        results = [item.result or NOT_RUN for item in items]
        result = combined(results) | {"attempt": step.attempt} if plan.step.foreach else results[0]
        bad = [(index, item) for index, item in enumerate(items) if item.reason]
        if plan.step.line or plan.step.passes or plan.step.onFail or plan.verdict:
            step.evidence = [item.evidence for item in items if item.evidence]
        if not bad:
            step.result, step.phase = result, "ended"
            return
        index, first = next((pair for pair in bad if pair[1].final), bad[0])
        reason = first.reason
        if plan.step.foreach:
            reason = f"{len(bad)} of {len(items)} items failed; item {index}: {reason}"
        self._failed(id, Taken(result, reason, first.outcome, first.final, first.code))

    def _failed(self, id: str, taken: Taken) -> None:
        step, manifest = self._state.steps[id], self._plan.steps[id].step
        step.result = taken.result | {"attempt": step.attempt, "ok": False, "reason": taken.reason}
        step.notes = [*step.notes, f"attempt {step.attempt}: {clip(taken.reason)}"][-MAX_NOTES:]
        if manifest.onFail and not taken.final and step.returns < manifest.onFail.max:
            self._returns.send_back(id)
        elif manifest.allowFailure:
            step.phase = "ended"
        else:
            step.phase = "ended"
            self._finish(Verdict(taken.outcome, self._tried(id, taken.reason), self._evidence(), taken.code))

    def _tried(self, id: str, reason: str) -> str:
        """Why the workflow failed with a step, and what was tried."""
        step, on_fail = self._state.steps[id], self._plan.steps[id].step.onFail
        if on_fail is None or not step.returns:
            return f"step '{id}' failed: {reason}"
        times = "once" if step.returns == 1 else f"{step.returns} times"
        kept = "" if len(step.notes) > step.returns else f" (the last {len(step.notes)} are told here)"
        return (
            f"step '{id}' failed after {step.returns + 1} attempts; the work was sent back to '{on_fail.goto}' {times} "
            f"and the most is {on_fail.max}{kept}: " + "; ".join(step.notes)
        )

    # --- the end ----------------------------------------------------------------------------

    def _output(self, values: dict[str, Any] | Wrong) -> None:
        if isinstance(values, Wrong):
            reason = f"every step is done, but the output can't be made: {values.message}"
            self._finish(Verdict("partly", reason, self._evidence()))
            return
        steps = self._state.steps
        failed = [id for id, step in steps.items() if step.result and not step.result["ok"]]
        reason = "every step is done"
        if failed:
            reason += "; allowed to fail, and failed: " + ", ".join(failed)
        self._finish(Verdict("done", reason, self._evidence()), self._parts(values))

    def _parts(self, values: dict[str, Any]) -> tuple[Part, ...]:
        if self._plan.spec.output is not None:
            return as_parts(templates.fill(self._plan.spec.output, values))
        for step in reversed(self._state.steps.values()):
            if step.result and not step.result["skipped"]:
                return result_parts(step.result)
        return ()

    def _want_time(self, wanted: list[Command]) -> None:
        for command in wanted:
            self._state.want(command, Route("", NO_ITEM, "timeout"))

    def _out_of_time(self) -> None:
        going = [id for id, step in self._state.steps.items() if step.phase not in ("waiting", "ended")]
        at = f"; still going: {', '.join(going)}" if going else ""
        seconds = deadline.most(self._state, self._plan.spec.budget)
        reason = f"the budget's duration of {seconds:g} s is used up{at}"
        self._finish(Verdict("partly", reason, self._evidence(), "budget"))

    def _evidence(self) -> tuple[int, ...]:
        return tuple(sorted(seq for step in self._state.steps.values() for seq in step.evidence))

    def _finish(self, verdict: Verdict, parts: tuple[Part, ...] = ()) -> None:
        state = self._state
        state.finish = Finish(verdict, parts, sources=everything(state))
        state.pending.clear()
        state.queue.clear()
        state.routes.clear()
