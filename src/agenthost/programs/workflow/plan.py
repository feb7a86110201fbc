"""A workflow's manifest as its program reads it: order, what depends on what, expressions read once."""

from typing import Any, cast

from msgspec import Struct

from agenthost.core import expressions, templates
from agenthost.core.definitions import Bundle
from agenthost.core.expressions import Path
from agenthost.core.manifests.workflow import Step, WorkflowSpec, needs_of

VERDICT_KEYS = ("pass", "passed")
"""The booleans in an agent's structured output by which it says whether what it checked passed."""


class StepPlan(Struct, frozen=True):
    """A step with what follows from the manifest alone.

    `needs`: the steps that must have ended. `redone`: those that run again when this one sends the
    work back; `inner`: those of them that come before it, whose own returns then start over, so
    that bounds of loops inside each other multiply and no two can keep each other going. `sources`: the expressions in what it performs. `verdict`: the key of the
    agent's output that says whether it passed. `tells`: whether its prompt says `feedback` itself.
    """

    step: Step
    needs: tuple[str, ...]
    redone: tuple[str, ...]
    inner: frozenset[str]
    sources: tuple[str, ...]
    feedback: tuple[str, ...]
    verdict: str
    tells: bool


class Plan:
    """A workflow of a bundle, read."""

    def __init__(self, name: str, bundle: Bundle) -> None:
        self.name = name
        self.bundle = bundle
        self.spec: WorkflowSpec = bundle.workflows[name].spec
        self._paths: dict[str, Path | None] = {}
        self._reads: dict[str, tuple[Path, ...]] = {}
        needs = needs_of(self.spec.steps)
        self.steps = {step.id: self._plan(step, needs) for step in self.spec.steps}
        self.output = tuple(templates.sources(self.spec.output))
        self._read(self.output)

    def path(self, source: str) -> Path | None:
        """The path that an expression is, where it is nothing else."""
        return self._paths[source]

    def reads(self, source: str) -> tuple[Path, ...]:
        """The names that an expression reads."""
        return self._reads[source]

    def _plan(self, step: Step, needs: dict[str, tuple[str, ...]]) -> StepPlan:
        message = step.approve.message if step.approve else ""
        sources = templates.sources([step.prompt, step.line or "", step.with_, message])
        if step.files:
            sources.append(step.files)
        feedback = templates.sources(step.onFail.feedback) if step.onFail else []
        self._read([*sources, *feedback, *filter(None, (step.if_, step.foreach, step.passes))])
        tells = any(path[0] == "feedback" for source in templates.sources(step.prompt) for path in self._reads[source])
        redone: tuple[str, ...] = ()
        if step.onFail:
            after = dependants(step.onFail.goto, needs) | {step.onFail.goto, step.id}
            redone = tuple(id for id in needs if id in after)
        inner = frozenset(id for id in redone if step.id in dependants(id, needs))
        return StepPlan(
            step, needs[step.id], redone, inner, tuple(sources), tuple(feedback), self._verdict(step), tells
        )

    def _read(self, sources: list[str] | tuple[str, ...]) -> None:
        for source in sources:
            self._paths[source] = expressions.simple_path(source)
            self._reads[source] = expressions.reads(source)

    def _verdict(self, step: Step) -> str:
        agent = self.bundle.agents.get(self.spec.roles[step.role].agent) if step.role in self.spec.roles else None
        schema = agent.manifest.spec.output if agent else None
        if step.passes or not schema:
            return ""
        properties = cast("dict[str, Any]", schema.get("properties") or {})
        found = (key for key in VERDICT_KEYS if properties.get(key, {}).get("type") == "boolean")
        return next(found, "")


def dependants(step: str, needs: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """The steps that come after `step`, over any number of others."""
    found: set[str] = set()
    fresh = {step}
    while fresh:
        fresh = {id for id, before in needs.items() if fresh.intersection(before)} - found
        found |= fresh
    return frozenset(found)
