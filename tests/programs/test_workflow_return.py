"""`onFail`: back to an earlier step with feedback, a bounded number of times."""

from typing import Any

from workflows import play

from agenthost.core.commands import StartChild, Stop
from agenthost.core.events import Value
from agenthost.core.parts import text_of

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
