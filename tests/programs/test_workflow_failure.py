"""What makes a step fail, what is tried then, and how a workflow ends that can't go on."""

from typing import Any

import pytest
from workflows import bundle, play

from agenthost.core.commands import Ask, CallTool, Command, Stop, Verdict, Wait
from agenthost.core.events import Answered, Doubted, Noted, Nothing, Reply, Value
from agenthost.core.parts import DataPart, TextPart, text_message, text_of
from agenthost.core.tasks import TaskSpec, Trial
from agenthost.core.tools import ToolResult, text_result
from agenthost.programs.workflow import WorkflowProgram
from agenthost.programs.workflow.state import WorkflowState
from agenthost.testing.playbook import Playbook

RUN = {"id": "run", "command": "make"}
CODE = {"id": "code", "role": "coder", "prompt": "p"}
CHECK = {"id": "check", "role": "checker", "prompt": "p"}


def verdict(book: Playbook[WorkflowState]) -> Verdict:
    assert book.finish is not None, f"open: {list(book.open)}"
    return book.finish.verdict


@pytest.mark.parametrize(
    ("expect", "ran", "told"),
    [
        (None, {"exit_code": 2, "stderr": "a\nb: no rule\n"}, "the command exited with 2: b: no rule"),
        (None, {"exit_code": 1}, "the command exited with 1"),
        (None, {"exit_code": 137, "limit": "time", "duration": 60.01}, "the command timed out after 60 s"),
        (None, {"exit_code": 137, "limit": "memory"}, "the command was ended by the sandbox's limit on memory"),
        ({"exitCode": 3}, {"exit_code": 3}, ""),
        ({"exitCode": None}, {"exit_code": 9}, ""),
        ({"stdout": r"\d+ passed"}, {"exit_code": 0, "stdout": "12 passed"}, ""),
        ({"stdout": "x"}, {"exit_code": 0}, "the command's stdout has nothing that matches 'x'"),
        ({"stderr": "^y"}, {"exit_code": 0, "stderr": "x"}, "the command's stderr has nothing that matches '^y'"),
    ],
)
def test_a_command_must_show_what_is_expected(expect: Any, ran: dict[str, Any], told: str) -> None:
    book = play([{**RUN, "expect": expect}])
    book.ran("run-1", **ran)
    if told:
        assert (verdict(book).outcome, verdict(book).reason) == ("unachievable", f"step 'run' failed: {told}")
    else:
        assert verdict(book).outcome == "done"


def test_a_failure_that_is_allowed_is_seen_by_what_comes_after() -> None:
    after = {"ok": "{{ steps.run.ok }}", "code": "{{ steps.run.exit_code }}", "err": "{{ steps.run.stderr }}"}
    book = play([{**RUN, "allowFailure": True}, {"id": "next", "tool": "look", "with": after}])
    assert book.ran("run-1", 1, stderr="boom") == ["next-1"]
    call = book.open["next-1"]
    assert isinstance(call, CallTool)
    assert call.arguments == {"ok": False, "code": 1, "err": "boom"}
    book.answer("next-1", text_result("x"))
    assert verdict(book).reason == "every step is done; allowed to fail, and failed: run"


def test_a_tools_error_fails_its_step() -> None:
    book = play([{"id": "look", "tool": "look"}])
    book.answer("look-1", text_result("no such place", error=True))
    assert verdict(book).reason == "step 'look' failed: the tool answered with an error: no such place"


@pytest.mark.parametrize(
    ("outcome", "became"),
    [
        ("partly", "partly"),
        ("blocked", "blocked"),
        ("needs-person", "needs-person"),
        ("unachievable", "unachievable"),
        ("canceled", "blocked"),
    ],
)
def test_a_child_that_is_not_done_fails_its_step(outcome: str, became: str) -> None:
    book = play([CODE])
    book.ended("code-1", outcome=outcome)
    assert (verdict(book).outcome, verdict(book).reason) == (became, f"step 'code' failed: it ended {outcome}")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"pass": False, "reasons": ["a", "b"]}, "a; b"),
        ({"pass": False, "feedback": "do it"}, "do it"),
        ({"pass": False, "reason": "because " + "x" * 400}, "because " + "x" * 292 + " ..."),
        ({"pass": False, "reasons": [], "reason": 3}, "it answered that 'pass' is false"),
    ],
)
def test_a_checker_fails_its_step_by_its_structured_answer(data: dict[str, Any], told: str) -> None:
    book = play([CHECK])
    book.ended("check-1", data=data)
    assert verdict(book).reason == f"step 'check' failed: {told}"


def test_conflicts_name_the_paths() -> None:
    book = play([CODE])
    book.ended("code-1", conflicts=("a.py", "b.py"), changes={"a.py": "sha256:1", "c.py": "sha256:2"})
    assert verdict(book).reason == "step 'code' failed: it changed files that others changed too: a.py, b.py"
    assert book.state.files == {"c.py": "sha256:2"}


def test_passes_as_a_path_is_judged_at_once() -> None:
    book = play([{**CODE, "passes": "result.data.fine"}])
    book.ended("code-1", data={"fine": False, "reason": "it is not"})
    assert verdict(book).reason == "step 'code' failed: it is not"


def test_passes_overrules_the_checkers_own_word() -> None:
    book = play([{**CHECK, "passes": "result.data.score > 3"}])
    assert book.ended("check-1", data={"pass": False, "score": 4}) == ["check-1-passes"]
    assert book.evaluation("check-1-passes").names["result"]["data"] == {"pass": False, "score": 4}
    book.value("check-1-passes", True)
    assert verdict(book).outcome == "done"
    assert len(verdict(book).evidence) == 1


def test_passes_that_is_false_or_broken_fails_the_step() -> None:
    for answer, told in ((False, "`passes` is false: len(result.text) > 3"), (None, "can't be evaluated: no len")):
        book = play([{"id": "look", "tool": "look", "passes": "len(result.text) > 3"}])
        book.answer("look-1", text_result("x"))
        if answer is None:
            book.fail("look-1-passes", "script-error", "no len")
        else:
            book.value("look-1-passes", answer)
        assert told in verdict(book).reason


def test_a_condition_or_a_loop_that_can_not_be_evaluated_fails_the_step() -> None:
    for key, told in (("if", "`if` can't be evaluated: boom"), ("foreach", "`foreach` can't be evaluated: boom")):
        book = play([{**RUN, key: "1 / 0"}])
        book.fail(f"run-1-{key}", "script-error", "boom")
        assert told in verdict(book).reason


def test_a_template_that_can_not_be_filled_fails_the_step_and_is_not_retried() -> None:
    steps = [{"id": "a", "tool": "look"}, {**RUN, "command": "x {{ steps.a.data.y }} {{ 1 + 1 }}", "retry": {}}]
    book = play(steps)
    assert book.answer("a-1", text_result("A")) == ["run-1-values"]
    book.value("run-1-values", 2)
    assert "`steps.a.data.y`: steps.a.data is null" in verdict(book).reason


def test_retries_wait_twice_as_long_each_time() -> None:
    book = play([{**RUN, "retry": {"max": 2, "delay": "5s"}}])
    assert book.ran("run-1", 1) == ["run-1-retry1-delay"]
    assert book.open["run-1-retry1-delay"] == Wait("run-1-retry1-delay", 1005.0)
    assert book.over("run-1-retry1-delay") == ["run-1-retry1"]
    assert book.ran("run-1-retry1", 1) == ["run-1-retry2-delay"]
    assert book.open["run-1-retry2-delay"] == Wait("run-1-retry2-delay", 1015.0)
    book.over("run-1-retry2-delay")
    book.ran("run-1-retry2", 0, "good")
    assert verdict(book).outcome == "done"


def test_a_trial_waits_for_nobody_between_its_retries() -> None:
    steps = [{**RUN, "retry": {"max": 1, "delay": "1h"}}]
    task = TaskSpec("t1", "workflow", "flow", "sha256:0", text_message("person", "do it"), trial=Trial("t0"))
    book = Playbook(WorkflowProgram(bundle(steps)), task)
    assert book.ran("run-1", 1) == ["run-1-retry1-delay"]
    assert book.open["run-1-retry1-delay"] == Wait("run-1-retry1-delay", 1000.0)


def test_after_the_last_retry_the_step_has_failed() -> None:
    book = play([{**RUN, "retry": {"max": 1}}])
    book.ran("run-1", 1)
    book.over("run-1-retry1-delay")
    book.ran("run-1-retry1", 2)
    assert verdict(book).reason == "step 'run' failed: the command exited with 2 (tried 2 times)"


def test_only_the_item_that_failed_is_retried_and_the_others_are_kept() -> None:
    book = play(
        [{"id": "e", "tool": "look", "foreach": "input.l", "retry": {"max": 1}}], {"l": [1, 2]}, input={"l": {}}
    )
    assert book.answer("e-1-1", text_result("no", error=True)) == ["e-1-1-retry1-delay"]
    assert book.over("e-1-1-retry1-delay") == ["e-1-1-retry1"]
    book.answer("e-1-1-retry1", text_result("two"))
    book.answer("e-1-0", text_result("one"))
    assert text_of(book.finish.parts if book.finish else ()) == "one\ntwo"


def test_a_failed_item_fails_its_step_after_the_others_have_ended() -> None:
    book = play([{"id": "e", "tool": "look", "foreach": "input.l"}], {"l": [1, 2, 3]}, input={"l": {}})
    book.answer("e-1-1", text_result("no", error=True))
    assert book.finish is None
    book.answer("e-1-0", text_result("one"))
    book.fail("e-1-2", "stopped", "it was stopped")
    assert verdict(book).reason == "step 'e' failed: 2 of 3 items failed; item 2: it was stopped"
    assert verdict(book).outcome == "blocked"


def test_a_child_that_takes_too_long_is_stopped_and_its_step_has_timed_out() -> None:
    book = play([{**CODE, "timeout": "5s"}])
    assert book.open["code-1-timeout"] == Wait("code-1-timeout", 1005.0)
    book.stops = False
    assert book.over("code-1-timeout") == ["code-1-stop"]
    assert book.open["code-1-stop"] == Stop("code-1-stop", "code-1")
    book.answer("code-1-stop", Nothing())
    assert book.finish is None
    book.ended("code-1", outcome="canceled")
    assert verdict(book).reason == "step 'code' failed: timed out after 5 s"


def test_a_time_out_that_comes_after_the_end_means_nothing() -> None:
    book = play([{**CODE, "timeout": "5s"}, RUN])
    book.ended("code-1")
    assert book.over("code-1-timeout") == []
    assert list(book.open) == ["run-1"]


def test_a_retry_after_a_time_out_has_its_own_time() -> None:
    book = play([{"id": "s", "tool": "send", "timeout": "5s", "retry": {"max": 1, "delay": "1s"}}])
    assert book.over("s-1-timeout") == ["s-1-stop", "s-1-retry1-delay"]
    assert book.over("s-1-retry1-delay") == ["s-1-retry1", "s-1-retry1-timeout"]
    assert book.open["s-1-retry1-timeout"] == Wait("s-1-retry1-timeout", 1011.0)
    book.answer("s-1-retry1", text_result("x"))
    assert verdict(book).outcome == "done"


def test_the_time_of_a_command_is_the_sandboxs_to_keep() -> None:
    book = play([{**RUN, "timeout": "5s"}])
    assert list(book.open) == ["run-1"]
    assert getattr(book.open["run-1"], "timeout", 0) == 5.0


def test_a_tool_that_needs_approval_is_called_after_a_person_agreed_to_exactly_that() -> None:
    book = play([{"id": "pay", "tool": "pay", "with": {"usd": 5}, "timeout": "9s"}])
    ask = book.open["pay-1-ok"]
    assert isinstance(ask, Ask)
    assert (ask.kind, ask.options) == ("approval", ("approve", "deny", "approve always"))
    assert ask.question == "May the tool 'pay' be called with these arguments?\n" + '{\n  "usd": 5\n}'
    assert book.replied("pay-1-ok", " Approve ") == ["pay-1", "pay-1-timeout"]
    book.answer("pay-1", ToolResult((DataPart({"paid": 5}),)))
    assert verdict(book).outcome == "done"


def test_a_tool_that_is_not_approved_is_not_called() -> None:
    for answer, told in ((Reply("no, too much"), "they said: no, too much"), (None, "nobody was there")):
        book = play([{"id": "pay", "tool": "pay", "retry": {}}])
        if answer:
            book.answer("pay-1-ok", answer)
        else:
            book.fail("pay-1-ok", "expired", "nobody was there")
        assert (verdict(book).outcome, told in verdict(book).reason) == ("blocked", True)
    book = play([{"id": "pay", "tool": "pay"}])
    book.answer("pay-1-ok", Nothing())
    assert "the approval was not given" in verdict(book).reason


def test_a_tool_that_is_not_there_fails_its_step() -> None:
    assert verdict(play([{"id": "a", "tool": "gone"}])).reason == "step 'a' failed: there is no tool 'gone'"


def test_a_budget_that_is_used_up_ends_the_workflow_without_retry_or_return() -> None:
    steps: list[dict[str, Any]] = [CODE, {**CHECK, "retry": {}, "onFail": {"goto": "code"}}]
    spent = Verdict("partly", "the budget of 3 model turns is used up", code="budget")
    book = play(steps)
    book.ended("code-1")
    book.ended("check-1", verdict=spent)
    assert (verdict(book).outcome, verdict(book).code) == ("partly", "budget")
    assert verdict(book).reason == "step 'check' failed: the budget of 3 model turns is used up"
    book = play(steps)
    book.fail("code-1", "budget", "no room")
    assert (verdict(book).outcome, verdict(book).code) == ("partly", "budget")


def test_a_wrong_key_of_a_provider_is_not_tried_again_and_its_code_is_handed_up() -> None:
    book = play([{**CODE, "retry": {}}])
    book.ended("code-1", verdict=Verdict("blocked", "the key is wrong", code="auth"))
    assert verdict(book) == Verdict("blocked", "step 'code' failed: the key is wrong", code="auth")


def test_a_workflow_that_takes_too_long_ends_and_names_its_budget() -> None:
    book = play([CODE, RUN], budget={"duration": "30m"})
    assert book.open["deadline"] == Wait("deadline", 2800.0)
    book.over("deadline")
    assert verdict(book).outcome == "partly"
    assert verdict(book).reason == "the budget's duration of 1800 s is used up; still going: code"


def test_cancel_ends_it() -> None:
    book = play([CODE])
    book.cancel("enough")
    assert verdict(book) == Verdict("canceled", "enough")
    assert list(book.program.decide(book.state)) == []


def test_what_comes_after_the_end_was_decided_changes_nothing() -> None:
    book = play([CODE, {"id": "b", "command": "x", "needs": []}])
    state = book.state
    book.ran("b-1", 1)
    assert verdict(book).outcome == "unachievable"
    assert list(book.open) == []
    assert (state.pending, state.queue, state.routes) == ({}, {}, {})


def test_an_answer_of_the_wrong_kind_fails_the_step() -> None:
    book = play([CODE])
    book.answer("code-1", Value({}))
    assert verdict(book).reason == "step 'code' failed: it was answered with something that this step can't use"


def doubt(book: Playbook[WorkflowState], id: str) -> list[str]:
    book.happened(Doubted(id))
    return list(book.open)


def test_a_tool_in_doubt_that_a_person_has_called_again_answers_for_the_first() -> None:
    book = play([{"id": "s", "tool": "send"}])
    assert doubt(book, "s-1") == ["s-1", "s-1-doubt"]
    del book.open["s-1"]
    assert book.replied("s-1-doubt", "run it again") == ["s-1~2"]
    book.answer("s-1~2", text_result("sent"))
    assert verdict(book).outcome == "done"


def test_a_tool_called_again_is_stopped_by_the_name_that_it_has_then() -> None:
    book = play([{"id": "s", "tool": "send", "timeout": "5s"}])
    doubt(book, "s-1")
    del book.open["s-1"]
    book.replied("s-1-doubt", "run it again")
    book.stops = False
    assert book.over("s-1-timeout") == ["s-1-stop"]
    assert book.open["s-1-stop"] == Stop("s-1-stop", "s-1~2")


def test_a_tool_in_doubt_is_not_stopped_by_its_time_but_judged_by_a_person() -> None:
    book = play([{"id": "s", "tool": "send", "timeout": "5s"}])
    doubt(book, "s-1")
    assert book.over("s-1-timeout") == []
    del book.open["s-1"]
    book.replied("s-1-doubt", "give up")
    assert verdict(book).reason == "step 's' failed: timed out after 5 s"


def test_a_note_in_the_journal_changes_nothing() -> None:
    book = play([RUN])
    assert book.happened(Noted("a slot was awaited")) == []


def test_the_same_answer_twice_counts_once() -> None:
    book = play([RUN, {"id": "next", "tool": "look"}])
    book.ran("run-1")
    repeated = next(recorded.event for recorded in book.events if isinstance(recorded.event, Answered))
    assert book.happened(repeated) == []
    assert list(book.open) == ["next-1"]


def test_a_playbook_says_what_is_open_where_a_test_answers_something_else() -> None:
    book = play([RUN])
    with pytest.raises(AssertionError, match="'gone' is not open; open are: run-1"):
        book.answer("gone", Nothing())


def test_a_playbook_sees_a_program_that_changes_its_state_while_it_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    book = play([RUN, {"id": "b", "tool": "look"}])

    def decide(state: WorkflowState) -> list[Command]:
        state.seq += 1
        return []

    monkeypatch.setattr(book.program, "decide", decide)
    with pytest.raises(AssertionError, match="a decision changed the state"):
        book.ran("run-1")


def test_a_structured_result_is_shown_as_text_where_there_are_no_words() -> None:
    book = play([CHECK, {"id": "next", "tool": "look", "with": {"t": "{{ steps.check.text }}"}}])
    book.ended("check-1", data={"pass": True})
    call = book.open["next-1"]
    assert isinstance(call, CallTool)
    assert call.arguments == {"t": '{"pass":true}'}
    book.answer("next-1", ToolResult((TextPart("w"),)))
    assert book.finish is not None
    assert book.finish.parts == (TextPart("w"),)
