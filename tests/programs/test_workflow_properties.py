"""Random workflows with random answers in random order: always an end, and always the same rules."""

from math import prod
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflows import CHECK_SCHEMA, bundle, play

from agenthost.core.commands import Ask, CallTool, Command, Evaluate, RunCommand, StartChild, Stop, Wait
from agenthost.core.events import Nothing, Value
from agenthost.core.tools import text_result
from agenthost.manifests.graph import problems
from agenthost.programs.workflow.plan import Plan
from agenthost.programs.workflow.state import WorkflowState
from agenthost.testing.playbook import Playbook

KINDS: list[dict[str, Any]] = [
    {"role": "coder", "prompt": "do {{ input.word }}"},
    {"role": "coder", "prompt": "do {{ input.word.upper() }} {{ feedback }}"},
    {"role": "checker", "prompt": "judge"},
    {"command": "run {{ input.word }}"},
    {"tool": "look", "with": {"what": "{{ input.word }}"}},
    {"tool": "pay", "with": {"amount": "{{ input.list }}"}},
    {"workflow": "flow", "with": {"word": "{{ input.word }}"}},
]


@st.composite
def workflows(draw: st.DrawFn) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    after: dict[str, set[str]] = {}
    for index in range(draw(st.integers(1, 6))):
        id = f"s{index}"
        step: dict[str, Any] = {"id": id, **draw(st.sampled_from(KINDS))}
        earlier = list(after)
        if draw(st.booleans()):
            step["needs"] = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        needs = step.get("needs", earlier[-1:])
        after[id] = set(needs).union(*(after[need] for need in needs))
        before = sorted(after[id])
        if before and draw(st.integers(0, 3)) == 0:
            step["if"] = draw(st.sampled_from([f"steps.{before[0]}.ok", f"not steps.{before[-1]}.ok"]))
        if draw(st.integers(0, 4)) == 0:
            step["foreach"] = draw(st.sampled_from(["input.list", "sorted(input.list)", "input.word"]))
        if before and draw(st.integers(0, 2)) == 0:
            feedback = draw(st.sampled_from(["", "{{ result.text }}", "{{ result.text.upper() }}"]))
            step["onFail"] = {
                "goto": draw(st.sampled_from(before)),
                "max": draw(st.integers(1, 2)),
                "feedback": feedback,
            }
        if draw(st.integers(0, 3)) == 0:
            step["retry"] = {"max": draw(st.integers(1, 2)), "delay": "1s"}
        if draw(st.integers(0, 3)) == 0:
            step["timeout"] = "5s"
        if draw(st.integers(0, 3)) == 0:
            step["passes"] = draw(st.sampled_from(["result.ok", "not result.ok"]))
        step["allowFailure"] = draw(st.booleans())
        steps.append(step)
    return steps


def answer(draw: st.DrawFn, book: Playbook[WorkflowState], command: Command) -> None:
    good = draw(st.integers(0, 3)) > 0
    if isinstance(command, Wait):
        book.over(command.id)
    elif isinstance(command, Stop):
        book.answer(command.id, Nothing())
    elif isinstance(command, Evaluate):
        assert set(book.evaluation(command.id).expressions) == set(command.expressions)
        values = {key: [1, 2] if "list" in source else good for key, source in command.expressions.items()}
        book.answer(command.id, Value(values))
    elif isinstance(command, Ask):
        book.replied(command.id, "approve" if good else "deny")
    elif draw(st.integers(0, 9)) == 0:
        book.fail(command.id, draw(st.sampled_from(["stopped", "permanent", "budget"])))
    elif isinstance(command, RunCommand):
        book.ran(command.id, 0 if good else 1)
    elif isinstance(command, CallTool):
        book.answer(command.id, text_result("t", error=not good))
    else:
        book.ended(command.id, "text", {"pass": good}, draw(st.sampled_from(["done", "done", "partly", "blocked"])))


def check_rules(book: Playbook[WorkflowState], plan: Plan, fresh: set[str]) -> None:
    own_files = [c for c in book.open.values() if isinstance(c, RunCommand)]
    own_files += [c for c in book.open.values() if isinstance(c, StartChild) and c.workspace == "shared"]
    assert len(own_files) <= 1
    for id in fresh:
        step, _, rest = id.partition("-")
        if step not in plan.steps or not rest.partition("-")[0].isdigit() or id.endswith("-stop"):
            continue
        busy = [
            other for other, command in book.open.items() if isinstance(command, StartChild | RunCommand | CallTool)
        ]
        for need in plan.steps[step].needs:
            assert book.state.steps[need].phase == "ended"
            assert not [other for other in busy if other.startswith(f"{need}-")]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), workflows(), st.booleans())
def test_every_workflow_ends_and_keeps_its_rules(data: st.DataObject, steps: list[dict[str, Any]], stops: bool) -> None:
    spec: dict[str, Any] = {"input": {"word": {}, "list": {"type": "array"}}}
    if data.draw(st.booleans()):
        spec["budget"] = {"duration": "1h"}
    book = play(steps, {"word": "w", "list": [1, 2, 3]}, **spec)
    book.stops = stops
    plan = Plan("flow", bundle(steps, **spec))
    seen = set[str]()
    draw: Any = data.draw
    most = 0
    while book.finish is None:
        check_rules(book, plan, set(book.asked) - seen)
        seen = set(book.asked)
        assert book.open, "nothing is open and there is no end"
        waits = [c for c in book.open.values() if not (isinstance(c, Wait) and c.id == "deadline")]
        answer(draw, book, draw(st.sampled_from(waits or list(book.open.values()))))
        most += 1
        assert most < 5000
    bounds = [step["onFail"]["max"] + 1 for step in steps if "onFail" in step]
    assert max(step.attempt for step in book.state.steps.values()) <= prod(bounds)
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


def test_the_random_workflows_are_ones_that_validate_takes() -> None:
    @settings(max_examples=50, deadline=None)
    @given(workflows())
    def check(steps: list[dict[str, Any]]) -> None:
        made = bundle(steps, input={"word": {}, "list": {"type": "array"}})
        agents = {name: pinned.manifest for name, pinned in made.agents.items()}
        found = problems(made.workflows["flow"], agents, {}, list(made.tools))
        assert [f for f in found if "flow" not in f.message] == []

    assert CHECK_SCHEMA
    check()
