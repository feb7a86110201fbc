"""`onFail`: back to an earlier step with feedback, a bounded number of times."""

from typing import Any

import msgspec
from workflows import play

from agenthost.core.commands import StartChild, Stop
from agenthost.core.events import Value
from agenthost.core.parts import text_of
from agenthost.core.tools import ToolResult, text_result

SKETCH: list[dict[str, Any]] = [
    {"id": "spec", "role": "coder", "prompt": "Read it"},
    {"id": "code", "role": "coder", "prompt": "Write {{ steps.spec.text }}"},
    {"id": "run", "command": "python main.py", "allowFailure": True},
    {
        "id": "check",
        "role": "checker",
        "prompt": "Judge {{ steps.run.stdout }} {{ steps.run.stderr }}",
        "onFail": {"goto": "code", "feedback": "Mend: {{ result.data.reasons[0] }}: {{ steps.run.stderr }}", "max": 2},
    },
]


def prompt(command: object) -> str:
    assert isinstance(command, StartChild)
    return text_of(command.parts)


def test_a_failed_check_sends_the_work_back_with_feedback_until_it_passes() -> None:
    book = play(SKETCH, output="{{ steps.code.text }}")
    book.ended("spec-1", "S")
    assert book.ended("code-1", "C1") == ["run-1"]
    assert book.ran("run-1", 1, stderr="boom") == ["check-1"]
    assert prompt(book.open["check-1"]) == "Judge  boom"
    assert book.ended("check-1", data={"pass": False, "reasons": ["it fails"]}) == ["code-2"]
    assert prompt(book.open["code-2"]) == "Write S\n\nMend: it fails: boom"
    assert book.ended("code-2", "C2") == ["run-2"]
    assert book.ran("run-2", 0, "fine") == ["check-2"]
    assert book.ended("check-2", data={"pass": True}) == []
    assert book.finish is not None
    assert book.finish.verdict.outcome == "done"
    assert text_of(book.finish.parts) == "C2"
    answered = [e.seq for e in book.events if getattr(e.event, "command", None) in ("run-2", "check-2")]
    assert set(book.finish.verdict.evidence) <= set(answered)
    assert len(book.finish.verdict.evidence) == 2


def test_after_the_last_return_the_workflow_has_failed_and_says_what_was_tried() -> None:
    book = play(SKETCH)
    book.ended("spec-1", "S")
    for attempt in (1, 2, 3):
        assert book.finish is None
        book.ended(f"code-{attempt}", "C")
        book.ran(f"run-{attempt}", 1)
        book.ended(f"check-{attempt}", data={"pass": False, "reasons": [f"why {attempt}", "more"]})
    assert book.finish is not None
    assert book.finish.verdict.outcome == "unachievable"
    assert book.finish.verdict.reason == (
        "step 'check' failed after 3 attempts; the work was sent back to 'code' 2 times and the most is 2: "
        "attempt 1: why 1; more; attempt 2: why 2; more; attempt 3: why 3; more"
    )


def test_feedback_that_needs_evaluating_is_evaluated_with_the_result() -> None:
    steps = [
        {"id": "code", "role": "coder", "prompt": "p"},
        {
            "id": "run",
            "command": "x",
            "onFail": {"goto": "code", "feedback": "{{ result.stderr.upper() }} {{ attempt }}"},
        },
    ]
    book = play(steps)
    book.ended("code-1")
    assert book.ran("run-1", 2, stderr="bad\nworse") == ["run-1-feedback"]
    evaluation = book.evaluation("run-1-feedback")
    assert list(evaluation.expressions.values()) == ["result.stderr.upper()"]
    assert evaluation.names["result"]["stderr"] == "bad\nworse"
    assert book.answer("run-1-feedback", Value({"e0": "BAD"})) == ["code-2"]
    assert prompt(book.open["code-2"]) == "p\n\nBAD 1"


def test_what_depends_on_the_step_gone_back_to_is_stopped_and_done_again() -> None:
    steps = [
        {"id": "code", "role": "coder", "prompt": "p"},
        {"id": "lint", "role": "checker", "prompt": "l", "needs": ["code"]},
        {"id": "run", "role": "checker", "prompt": "r", "needs": ["code"], "onFail": {"goto": "code"}},
        {"id": "side", "role": "coder", "prompt": "s", "needs": []},
    ]
    book = play(steps)
    assert set(book.open) == {"code-1", "side-1"}
    assert set(book.ended("code-1")) == {"lint-1", "run-1"}
    book.stops = False
    assert book.ended("run-1", outcome="unachievable", reason="no") == ["lint-1-stop"]
    assert book.open["lint-1-stop"] == Stop("lint-1-stop", "lint-1")
    assert book.fail("lint-1", "stopped") == ["code-2"]
    assert prompt(book.open["code-2"]) == "p\n\nThe step 'run' failed: no"
    assert set(book.ended("code-2")) == {"lint-2", "run-2"}
    assert "side-1" in book.open


def side(*others: dict[str, Any]) -> list[dict[str, Any]]:
    """A first step, some that need it, and a check that sends the work back to it."""
    check = {"id": "check", "tool": "put", "needs": ["code"], "onFail": {"goto": "code", "max": 1}}
    return [{"id": "code", "tool": "look"}, *({**other, "needs": ["code"]} for other in others), check]


def test_feedback_that_the_prompt_says_itself_is_not_added_again() -> None:
    steps = [
        {"id": "code", "role": "coder", "prompt": "{{ attempt }} {{ feedback }}"},
        {"id": "run", "command": "x", "onFail": {"goto": "code", "feedback": "again"}},
    ]
    book = play(steps)
    book.ended("code-1")
    book.ran("run-1", 1)
    assert prompt(book.open["code-2"]) == "2 again"


def test_feedback_that_can_not_be_made_is_replaced_by_the_reason() -> None:
    steps = [
        {"id": "code", "role": "coder", "prompt": "p"},
        {"id": "run", "command": "x", "onFail": {"goto": "code", "feedback": "{{ result.data.x }}"}},
    ]
    book = play(steps)
    book.ended("code-1")
    book.ran("run-1", 1)
    assert prompt(book.open["code-2"]) == "p\n\nThe step 'run' failed: the command exited with 1"


def test_going_back_waits_for_a_tool_that_was_called_and_keeps_what_it_wrote() -> None:
    book = play(side({"id": "send", "tool": "send"}))
    book.answer("code-1", text_result(""))
    assert book.answer("check-1", text_result("no", error=True)) == []
    assert list(book.open) == ["send-1"]
    assert book.answer("send-1", ToolResult((), changes={"a": "sha256:a"})) == ["code-2"]
    assert book.state.files == {"a": "sha256:a"}


def test_going_back_takes_back_a_question_and_waits_for_an_expression() -> None:
    book = play(side({"id": "pay", "tool": "pay"}, {"id": "cond", "tool": "look", "if": "1 < 2"}))
    book.answer("code-1", text_result(""))
    assert set(book.open) == {"pay-1-ok", "cond-1-if", "check-1"}
    book.stops = False
    assert book.answer("check-1", text_result("no", error=True)) == ["pay-1-ok-stop"]
    assert book.fail("pay-1-ok", "stopped") == []
    assert book.evaluation("cond-1-if").expressions == {"e0": "1 < 2"}
    assert book.value("cond-1-if", True) == ["code-2"]


def test_going_back_forgets_waits_and_commands_that_were_not_asked_for_yet() -> None:
    others = [{"id": "a", "command": "x"}, {"id": "b", "command": "y"}, {"id": "c", "tool": "look", "retry": {}}]
    book = play(side(*others))
    book.answer("code-1", text_result(""))
    assert "b-1" not in book.open
    assert book.answer("c-1", text_result("no", error=True)) == ["c-1-retry1-delay"]
    book.stops = False
    assert book.answer("check-1", text_result("no", error=True)) == ["a-1-stop"]
    assert book.fail("a-1", "stopped") == ["code-2"]
    assert book.over("c-1-retry1-delay") == []
    assert "b-1" not in book.asked
    assert set(book.answer("code-2", text_result(""))) == {"a-2", "c-2", "check-2"}
    assert book.fail("a-2", "stopped", "it was stopped") == []


def test_going_back_does_not_stop_twice_what_took_too_long() -> None:
    book = play(side({"id": "slow", "role": "coder", "prompt": "p", "timeout": "1s"}))
    book.answer("code-1", text_result(""))
    book.stops = False
    assert book.over("slow-1-timeout") == ["slow-1-stop"]
    assert book.answer("check-1", text_result("no", error=True)) == []
    assert book.ended("slow-1", outcome="canceled") == ["code-2"]


def test_a_return_waits_for_an_earlier_one_that_it_sets_back() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "b", "tool": "look"},
        {"id": "slow", "tool": "send", "needs": ["b"]},
        {"id": "first", "tool": "look", "needs": ["b"], "onFail": {"goto": "b", "feedback": "from first"}},
        {"id": "second", "tool": "look", "needs": ["a"], "onFail": {"goto": "a", "feedback": "from second"}},
    ]
    book = play(steps)
    book.answer("a-1", text_result(""))
    book.answer("b-1", text_result(""))
    assert set(book.open) == {"second-1", "slow-1", "first-1"}
    assert book.answer("first-1", text_result("no", error=True)) == []
    assert book.answer("second-1", text_result("no", error=True)) == []
    assert book.answer("slow-1", text_result("")) == ["a-2"]
    assert book.state.steps["a"].feedback == "from second"
    assert book.state.steps["b"].feedback == "from first"
    assert set(book.answer("a-2", text_result(""))) == {"b-2", "second-2"}


def test_two_that_send_the_work_back_to_the_same_step_are_both_heard() -> None:
    steps = [
        {"id": "a", "role": "coder", "prompt": "p"},
        {"id": "slow", "tool": "send", "needs": ["a"]},
        {"id": "x", "tool": "look", "needs": ["a"], "onFail": {"goto": "a", "feedback": "from x"}},
        {"id": "b", "tool": "look", "needs": [], "onFail": {"goto": "a", "feedback": "from b"}},
    ]
    book = play(steps)
    book.ended("a-1")
    book.answer("x-1", text_result("no", error=True))
    book.answer("b-1", text_result("no", error=True))
    assert set(book.answer("slow-1", text_result(""))) == {"a-2", "b-2"}
    assert prompt(book.open["a-2"]) == "p\n\nfrom x\n\nfrom b"


NESTED: list[dict[str, Any]] = [
    {"id": "a", "tool": "look"},
    {"id": "b", "tool": "look", "onFail": {"goto": "a", "max": 1}},
    {"id": "c", "tool": "look", "onFail": {"goto": "a", "max": 1}},
]


def test_an_outer_return_gives_an_inner_loop_its_returns_back_and_not_the_other_way_round() -> None:
    book = play(NESTED)
    order = ["a-1", "b-1!", "a-2", "b-2", "c-1!", "a-3", "b-3!", "a-4", "b-4", "c-2!"]
    for id in order:
        assert book.finish is None
        book.answer(id.rstrip("!"), text_result("r", error=id.endswith("!")))
    assert book.finish is not None
    assert "step 'c' failed after 2 attempts; the work was sent back to 'a' once" in book.finish.verdict.reason


def test_an_end_of_many_attempts_tells_the_last_of_them() -> None:
    book = play([{"id": "a", "tool": "look"}, {"id": "b", "tool": "look", "onFail": {"goto": "a", "max": 12}}])
    for attempt in range(1, 14):
        book.answer(f"a-{attempt}", text_result(""))
        book.answer(f"b-{attempt}", text_result(f"why {attempt}", error=True))
    assert book.finish is not None
    assert "sent back to 'a' 12 times and the most is 12 (the last 10 are told here): attempt 4: " in (
        book.finish.verdict.reason
    )
    assert len(book.state.steps["b"].notes) == 10


def test_allowed_to_fail_it_goes_on_after_the_last_return() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "b", "tool": "look", "allowFailure": True, "onFail": {"goto": "a", "max": 1}},
    ]
    book = play(steps)
    for attempt in (1, 2):
        book.answer(f"a-{attempt}", text_result(""))
        book.answer(f"b-{attempt}", text_result("no", error=True))
    assert book.finish is not None
    assert book.finish.verdict.outcome == "done"


def test_a_step_that_sends_the_work_back_at_once_holds_what_would_begin_with_it() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "b", "tool": "look", "needs": ["a"], "foreach": "steps.a.data", "onFail": {"goto": "a", "max": 1}},
        {"id": "c", "tool": "look", "needs": ["a"]},
    ]
    book = play(steps)
    assert book.answer("a-1", text_result("no list")) == ["a-2"]
    assert set(book.answer("a-2", text_result("[1]"))) == {"b-2-0", "c-1"}


def test_the_state_does_not_grow_with_the_rounds() -> None:
    book = play([{"id": "a", "tool": "look"}, {"id": "b", "tool": "look", "onFail": {"goto": "a", "max": 60}}])
    sizes: list[int] = []
    for attempt in range(1, 60):
        book.answer(f"a-{attempt}", text_result("x" * 500))
        book.answer(f"b-{attempt}", text_result("y" * 500, error=True))
        sizes.append(len(msgspec.json.encode(book.state)))
    assert sizes[-1] - sizes[15] < 100
