"""One run of a step, from its rendered command to its judged result: approval, time-out, `passes`, retry."""

from typing import Any

import msgspec

from agenthost.core.commands import RunCommand, StartChild, Stop, Wait
from agenthost.core.manifests.workflow import Step
from agenthost.programs.answers import approved, clip, refusal
from agenthost.programs.base import Delivery
from agenthost.programs.workflow.gate import gated, opening
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.provenance import guarded, took
from agenthost.programs.workflow.results import EXPECT, NOT_RUN, Taken, said, take
from agenthost.programs.workflow.state import Item, Route, What, WorkflowState
from agenthost.programs.workflow.steps import base_id, command_of
from agenthost.programs.workflow.values import Wrong, answered, ask


class Runs:
    """The runs of a workflow's steps. Each ends with `item.ended`, and its step's `left` one less."""

    def __init__(self, state: WorkflowState, plan: Plan) -> None:
        self._state = state
        self._plan = plan

    def start(self, step: str, index: int) -> None:
        """Begin a run: fill the templates of what it performs."""
        route = Route(step, index, "values")
        values = ask(self._state, self._plan, f"{self._base(route)}-values", route, self._plan.steps[step].sources)
        if values is not None:
            self._rendered(route, values)

    def deliver(self, route: Route, delivery: Delivery) -> None:
        """Take the answer of a command of a run."""
        if route.what == "values":
            sources = self._plan.steps[route.step].sources
            self._rendered(route, answered(self._state, self._plan, route, sources, delivery))
        elif route.what == "approval":
            self._approved(route, delivery)
        elif route.what == "act":
            self._acted(route, delivery)
        elif route.what == "passes":
            sources = (self._manifest(route).passes,)
            self._judged(route, answered(self._state, self._plan, route, sources, delivery))
        elif route.what == "timeout":
            self._late(route)
        else:
            self._perform(route)

    def _rendered(self, route: Route, values: dict[str, Any] | Wrong) -> None:
        step = self._plan.steps[route.step]
        command = values if isinstance(values, Wrong) else command_of(self._state, self._plan, step, values)
        if isinstance(command, Wrong):
            self._failed(route, Taken(NOT_RUN, command.message), again=False)
            return
        item = self._item(route)
        item.command = command
        item.question = opening(self._manifest(route), values) if isinstance(values, dict) else ""
        self._perform(route)

    def _perform(self, route: Route) -> None:
        item, manifest, base = self._item(route), self._manifest(route), self._base(route)
        assert item.command is not None
        why = guarded(self._state, self._plan, manifest, item.command)
        if isinstance(why, str):
            self._failed(route, Taken(NOT_RUN, why, "blocked", True), again=False)
            return
        ask = gated(self._state, self._plan, manifest, base, item, why)
        if ask is not None:
            self._state.want(ask, _for(route, "approval"))
        else:
            self._act(route)

    def _approved(self, route: Route, delivery: Delivery) -> None:
        if approved(delivery.answer):
            self._act(route)
            return
        what = "this call" if self._manifest(route).tool else "this step"
        told = delivery.failure.message if delivery.failure else refusal(delivery.answer, what)
        self._failed(route, Taken(NOT_RUN, told or "the approval was not given", "blocked", True), again=False)

    def _act(self, route: Route) -> None:
        command, base, timeout = self._item(route).command, self._base(route), self._manifest(route).timeout
        assert command is not None
        if isinstance(command, StartChild) and command.kind == "agent" and self._state.heard:
            command = msgspec.structs.replace(command, parts=(*command.parts, *self._state.heard))
        self._state.want(msgspec.structs.replace(command, id=base), _for(route, "act"))
        if timeout is not None and not isinstance(command, RunCommand):
            self._state.want(Wait(f"{base}-timeout", self._state.now + timeout), _for(route, "timeout"))

    def _late(self, route: Route) -> None:
        self._item(route).timed_out = True
        base = self._base(route)
        target = self._state.open_id(base)
        entry = self._state.open.get(target)
        # What became of a command in doubt is a person's to say; it has failed by then all the same.
        if entry is not None and not entry.doubted:
            self._state.want(Stop(f"{base}-stop", target))

    def _acted(self, route: Route, delivery: Delivery) -> None:
        item, manifest = self._item(route), self._manifest(route)
        expect = manifest.expect or (manifest.check.expect if manifest.check else EXPECT)
        taken = take(delivery.answer, delivery.failure, expect, self._plan.steps[route.step].verdict)
        self._state.wrote(taken.changes)
        took(self._state, self._plan, route.step, delivery.command, delivery.answer)
        self._state.routes.pop(f"{self._base(route)}-timeout", None)
        item.evidence = delivery.seq
        if item.timed_out:
            taken = Taken(taken.result, f"timed out after {manifest.timeout:g} s")
        item.result = taken.result | {"attempt": self._state.steps[route.step].attempt}
        if taken.reason:
            self._failed(route, taken)
        elif manifest.passes:
            judging = _for(route, "passes")
            values = ask(self._state, self._plan, f"{self._base(route)}-passes", judging, (manifest.passes,))
            if values is not None:
                self._judged(judging, values)
        else:
            self._end(route)

    def _judged(self, route: Route, values: dict[str, Any] | Wrong) -> None:
        source, result = self._manifest(route).passes, self._item(route).result or NOT_RUN
        if isinstance(values, Wrong):
            self._failed(route, Taken(result, f"`passes` can't be evaluated: {values.message}"))
        elif not values[source]:
            self._failed(route, Taken(result, said(result["data"]) or f"`passes` is false: {clip(source)}"))
        else:
            self._end(route)

    def _failed(self, route: Route, taken: Taken, again: bool = True) -> None:
        item, retry = self._item(route), self._manifest(route).retry
        if again and not taken.final and retry is not None and item.tries < retry.max:
            # In a trial everything but a model answers at once, so that there is nobody to spare.
            delay = 0.0 if self._state.spec.trial is not None else retry.delay * 2**item.tries
            item.tries, item.timed_out = item.tries + 1, False
            self._state.want(Wait(f"{self._base(route)}-delay", self._state.now + delay), _for(route, "delay"))
            return
        attempt = self._state.steps[route.step].attempt
        item.reason = taken.reason + (f" (tried {item.tries + 1} times)" if item.tries else "")
        item.outcome, item.final, item.code = taken.outcome, taken.final, taken.code
        item.result = taken.result | {"attempt": attempt, "ok": False, "reason": item.reason}
        self._end(route)

    def _end(self, route: Route) -> None:
        item = self._item(route)
        item.ended, item.command = True, None
        self._state.steps[route.step].left -= 1

    def _base(self, route: Route) -> str:
        base = base_id(route.step, self._state.steps[route.step], route.item, bool(self._manifest(route).foreach))
        tries = self._item(route).tries
        return f"{base}-retry{tries}" if tries else base

    def _item(self, route: Route) -> Item:
        return self._state.steps[route.step].items[route.item]

    def _manifest(self, route: Route) -> Step:
        return self._plan.steps[route.step].step


def _for(route: Route, what: What) -> Route:
    return Route(route.step, route.item, what)
