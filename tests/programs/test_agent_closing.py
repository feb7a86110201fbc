"""When an agent's work is done: the rules quiet, agent and checks, and structured output."""

from typing import Any

import msgspec
import pytest
from agents import ALL, calls, last, output, play, request, says, verdict

from agenthost.core.commands import RunCommand
from agenthost.core.events import Received
from agenthost.core.parts import DataPart, text_message
from agenthost.core.tools import text_result
from agenthost.programs.agent import structured

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def checks(*runs: str, **completion: Any) -> dict[str, Any]:
    return {"completion": {"rule": "checks", "checks": [{"run": run} for run in runs], **completion}}


# --- structured output ------------------------------------------------------------------------------


def test_a_structured_answer_comes_out_as_data() -> None:
    book = play(output=SCHEMA)
    assert request(book, "m1").output_schema == SCHEMA
    assert request(book, "m1").instructions == (
        "Be good.\n\nYour last answer must be one JSON value and nothing else, valid for this JSON Schema: "
        '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'
    )
    book.answer("m1", says('{"n": 3}'))
    assert verdict(book)[0] == "done"
    assert book.finish is not None
    assert book.finish.parts == (DataPart({"n": 3}),)


def test_a_structured_answer_works_with_tools_and_models_that_know_no_schema() -> None:
    assert request(play(output=SCHEMA, tools=ALL), "m1").output_schema is None
    assert request(play(output=SCHEMA, model={"structured": False}), "m1").output_schema is None
    book = play(output=SCHEMA, tools=ALL)
    book.answer("m1", calls(("look", "")))
    book.answer("m1-0", text_result("4"))
    book.answer("m2", says("It is four."))
    assert "is not the JSON that was asked for: it is not valid JSON (" in last(book, "m3")
    book.answer("m3", says('Here:\n```json\n{"n": 4}\n```\nBye.'))
    assert book.finish is not None
    assert book.finish.parts == (DataPart({"n": 4}),)


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        (' {"n": 1} ', {"n": 1}, None),
        ('```json\n{"n": 1}\n```', {"n": 1}, None),
        ('```\n{"n": 1}\n```', {"n": 1}, None),
        ('First:\n```python\nx = 1\n```\nthen\n```json\n{"n": 2}\n```', {"n": 2}, None),
        ('```json\n{"n": 1}\n```\n```json\n{"n": 2}\n```', {"n": 2}, None),
        ('{"n": "x"}', {"n": "x"}, "at $.n: 'x' is not of type 'integer'"),
        ("{}", {}, "at $: 'n' is a required property"),
        ("3", 3, "at $: 3 is not of type 'object'"),
        ('{"n": ' + "[" * 5000, None, "it is not valid JSON ("),
        ("\ud800", None, "it is not valid JSON ("),
    ],
)
def test_json_is_read_from_what_models_write(text: str, value: Any, problem: str | None) -> None:
    found, wrong = structured.read(SCHEMA, text)
    assert found == value
    assert wrong == problem or (problem is not None and wrong is not None and wrong.startswith(problem))


def test_an_answer_that_does_not_fit_is_asked_for_again_a_bounded_number_of_times() -> None:
    book = play(output=SCHEMA)
    for turn in range(1, 4):
        assert book.answer(f"m{turn}", says('{"n": "x"}')) == [f"m{turn + 1}"]
        assert last(book, f"m{turn + 1}") == (
            "Your answer is not the JSON that was asked for: at $.n: 'x' is not of type 'integer'. "
            "Answer again, with the JSON alone."
        )
    book.answer("m4", says("{}"))
    reason = "the model's answer could not be used 4 times in a row; of the last, at $: 'n' is a required property"
    assert verdict(book) == ("blocked", "bad-answer", reason)
    assert output(book) == "{}"


# --- the rule agent ---------------------------------------------------------------------------------


def test_by_the_rule_agent_it_says_itself_when_it_is_done() -> None:
    book = play(completion={"rule": "agent", "criteria": ["it runs", "it is short"]})
    shown = request(book, "m1")
    assert shown.instructions == (
        "Be good.\n\nThe work is done when all of this holds:\n- it runs\n- it is short\n"
        "Call the tool `finish` when the work is done, or when it can't be done."
    )
    assert [tool.name for tool in shown.tools] == ["finish"]
    book.answer("m1", calls(("finish", '{"outcome": "done", "summary": "all well"}')))
    assert verdict(book) == ("done", "", "all well")
    assert output(book) == "all well"
    assert book.finish is not None
    assert book.finish.verdict.evidence == (3,)


def test_finish_ends_after_the_calls_beside_it() -> None:
    book = play(tools=ALL, completion={"rule": "agent"})
    book.answer("m1", calls(("finish", '{"outcome": "partly", "summary": "half"}'), ("look", "")))
    assert list(book.open) == ["m1-1"]
    book.answer("m1-1", text_result("x"))
    assert verdict(book)[0] == "partly"


def test_a_tool_that_happens_to_be_called_finish_is_a_tool_like_any_other() -> None:
    book = play(tools=["finish"])
    assert book.answer("m1", calls(("finish", "{}"))) == ["m1-0"]
    assert book.answer("m1-0", text_result("x")) == ["m2"]
    assert last(book, "m2") == "x"


@pytest.mark.parametrize("arguments", ['{"outcome": "great", "summary": "x"}', '{"outcome": "done"}', "{}", "nonsense"])
def test_a_wrong_call_of_finish_ends_nothing(arguments: str) -> None:
    book = play(completion={"rule": "agent"})
    assert book.answer("m1", calls(("finish", arguments))) == ["m2"]
    assert request(book, "m2").turns[-1].error


def test_who_forgets_to_finish_is_reminded_a_bounded_number_of_times() -> None:
    book = play(completion={"rule": "agent", "maxRounds": 2})
    for turn in (1, 2):
        book.answer(f"m{turn}", says(f"done {turn}"))
        assert last(book, f"m{turn + 1}").startswith("Go on with the work. When it is done")
    book.answer("m3", says("done 3"))
    assert verdict(book) == ("partly", "not-finished", "it stopped 3 times without calling `finish`")
    assert output(book) == "done 3"


def test_a_message_that_came_meanwhile_holds_finish_up() -> None:
    book = play(completion={"rule": "agent"})
    book.happened(Received(text_message("person", "wait")))
    end = calls(("finish", '{"outcome": "done", "summary": "s"}'))
    assert book.answer("m1", end) == ["m2"]
    turns = request(book, "m2").turns[-2:]
    assert [(turn.text, turn.error) for turn in turns] == [
        ("Not finished: a new message has come. Read it, then go on.", True),
        ("wait", False),
    ]
    book.answer("m2", end)
    assert verdict(book)[0] == "done"


def test_finish_carries_the_structured_result() -> None:
    book = play(output=SCHEMA, completion={"rule": "agent"})
    assert "Its `result` must be valid for this JSON Schema: {" in request(book, "m1").instructions
    assert "result" in request(book, "m1").tools[0].parameters["properties"]
    book.answer("m1", calls(("finish", '{"outcome": "done", "summary": "s"}')))
    assert "`result` is missing" in last(book, "m2")
    book.answer("m2", calls(("finish", '{"outcome": "done", "summary": "s", "result": {"n": "x"}}')))
    assert "`result` does not fit: at $.n: 'x' is not of type 'integer'" in last(book, "m3")
    book.answer("m3", says("hm"))
    book.answer("m4", calls(("finish", '{"outcome": "done", "summary": "s", "result": {"n": 1}}')))
    assert book.finish is not None
    assert book.finish.parts == (DataPart({"n": 1}),)
    book = play(output=SCHEMA, completion={"rule": "agent"})
    book.answer("m1", calls(("finish", '{"outcome": "blocked", "summary": "no way"}')))
    assert verdict(book) == ("blocked", "", "no way")
    assert output(book) == "no way"


# --- the rule checks --------------------------------------------------------------------------------


def test_checks_that_pass_end_the_task_and_are_its_evidence() -> None:
    book = play(**checks("make test", "make lint", criteria=["small"]))
    assert request(book, "m1").instructions.endswith(
        "The work is done when all of this holds:\n- small\n"
        "When you answer without calling a tool, these commands are run in your workspace and must pass:\n"
        "- make test\n- make lint"
    )
    assert book.answer("m1", says("done")) == ["c1-0"]
    assert book.open["c1-0"] == RunCommand("c1-0", "make test")
    assert book.ran("c1-0", changes={"cache": "sha256:c"}) == ["c1-1"]
    assert book.ran("c1-1") == []
    assert verdict(book) == ("done", "", "all 2 checks passed")
    assert output(book) == "done"
    assert book.finish is not None
    answered = [r.seq for r in book.events if getattr(r.event, "command", None) in ("c1-0", "c1-1")]
    assert list(book.finish.verdict.evidence) == answered
    assert book.state.written == {"cache": "sha256:c"}


def test_a_check_that_fails_goes_back_with_the_end_of_its_output() -> None:
    book = play(**checks("a", "b"))
    book.answer("m1", says("done"))
    book.ran("c1-0", 2, "x" * 5000 + "the end", "Traceback\nValueError: bad")
    assert book.ran("c1-1", 1) == ["m2"]
    told = last(book, "m2")
    assert told.startswith("The check `a` failed: the command exited with 2: ValueError: bad.\n[... 10")
    assert (
        "the end\n--- stderr ---\nTraceback\nValueError: bad\n\nThe check `b` failed: the command exited with 1.\n"
        in told
    )
    assert told.endswith("(It printed nothing.)\n\nMend this, then answer again.")
    assert len(told) < 4400
    book.answer("m2", says("mended"))
    book.ran("c2-0")
    book.ran("c2-1")
    assert verdict(book)[0] == "done"
    assert book.finish is not None
    assert len(book.finish.verdict.evidence) == 2
    assert output(book) == "mended"


def test_only_stderr_is_shown_where_there_is_no_stdout() -> None:
    book = play(**checks("a"))
    book.answer("m1", says("done"))
    book.ran("c1-0", 1, "", "boom\n")
    assert "boom.\n--- stderr ---\nboom\n\nMend" in last(book, "m2")


def test_checks_that_go_on_failing_end_the_task_and_say_what_was_tried() -> None:
    book = play(**checks("a", maxRounds=2))
    for round in (1, 2, 3):
        book.answer(f"m{round}", says(f"done {round}"))
        book.ran(f"c{round}-0", 1, stderr=f"no {round}")
    reason = "sent back 2 times, and still: `a`: the command exited with 1: no 3"
    assert verdict(book) == ("unachievable", "checks-failed", reason)
    assert output(book) == "done 3"
    book = play(**checks("a", maxRounds=1))
    for round in (1, 2):
        book.answer(f"m{round}", says("done"))
        book.ran(f"c{round}-0", 1)
    assert verdict(book)[2].startswith("sent back once, and still: ")
    assert book.finish is not None
    assert len(book.finish.verdict.evidence) == 1


def test_one_check_that_passes_after_a_return_is_enough() -> None:
    book = play(**checks("a"))
    book.answer("m1", says("done"))
    book.ran("c1-0", 1)
    book.answer("m2", says("done"))
    book.ran("c2-0")
    assert verdict(book)[2] == "the check passed"


def test_what_a_check_expects_is_looked_at() -> None:
    spec = {"rule": "checks", "checks": [{"run": "a", "expect": {"stdout": "^ok$", "exitCode": None}, "timeout": "5s"}]}
    book = play(completion=spec)
    book.answer("m1", says("done"))
    assert book.open["c1-0"] == RunCommand("c1-0", "a", 5.0)
    book.ran("c1-0", 0, "fine")
    assert "the command's stdout has nothing that matches '^ok$'" in last(book, "m2")
    book.answer("m2", says("done"))
    book.ran("c2-0", 7, "ok")
    assert verdict(book)[0] == "done"


@pytest.mark.parametrize(
    ("limit", "why"), [("time", "the command timed out after 2 s"), ("memory", "by the sandbox's limit on memory")]
)
def test_a_check_that_a_limit_ended_has_failed(limit: str, why: str) -> None:
    book = play(**checks("a"))
    book.answer("m1", says("done"))
    book.ran("c1-0", 0, limit=limit, duration=2.0)
    assert why in last(book, "m2")


def test_a_check_that_can_not_be_run_ends_the_task() -> None:
    book = play(**checks("a"))
    book.answer("m1", says("done"))
    book.fail("c1-0", "unavailable", "there is no sandbox; install bubblewrap")
    reason = "the check `a` could not be run: there is no sandbox; install bubblewrap"
    assert verdict(book) == ("blocked", "unavailable", reason)
    assert output(book) == "done"


def test_a_check_whose_output_is_lost_is_run_again() -> None:
    book = play(**checks("a"))
    book.answer("m1", says("done"))
    assert book.answer("c1-0", text_result("it happened")) == ["m2"]
    assert last(book, "m2").startswith("The check `a` failed: what came of it is not known. It is made again.")


def test_the_rule_checks_without_checks_is_never_done() -> None:
    book = play(completion={"rule": "checks"})
    book.answer("m1", says("all done, believe me"))
    assert verdict(book)[:2] == ("blocked", "no-checks")


def test_a_message_during_the_checks_holds_the_end_up() -> None:
    book = play(**checks("a"))
    book.answer("m1", says("done"))
    book.happened(Received(text_message("person", "also this")))
    assert book.ran("c1-0") == ["m2"]
    assert last(book, "m2") == "also this"
    book.answer("m2", says("that too"))
    book.ran("c2-0")
    assert output(book) == "that too"


def test_a_message_during_the_last_checks_gives_the_agent_another_round() -> None:
    book = play(**checks("a", maxRounds=1))
    book.answer("m1", says("done"))
    book.ran("c1-0", 1)
    book.answer("m2", says("done"))
    book.happened(Received(text_message("person", "use b")))
    assert book.ran("c2-0", 1) == ["m3"]
    assert [turn.text.partition(":")[0] for turn in request(book, "m3").turns[-2:]] == ["The check `a` failed", "use b"]
    book.answer("m3", says("done"))
    book.ran("c3-0", 1)
    assert verdict(book)[:2] == ("unachievable", "checks-failed")


def test_a_structured_answer_is_judged_before_the_checks_and_comes_out_after_them() -> None:
    book = play(output=SCHEMA, **checks("a"))
    book.answer("m1", says("x"))
    assert list(book.open) == ["m2"]
    book.answer("m2", says('{"n": 1}'))
    book.ran("c1-0")
    assert book.finish is not None
    assert book.finish.parts == (DataPart({"n": 1}),)
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


def test_a_message_in_the_same_moment_as_passed_checks_takes_the_end_back() -> None:
    from agenthost.core.events import Answered, Recorded, RunResult

    book = play(**checks("a"))
    book.answer("m1", says("done"))
    state = book.program.apply(book.state, Recorded("t1", 9, 1.0, Answered("c1-0", RunResult(0))))
    state = book.program.apply(state, Recorded("t1", 10, 1.0, Received(text_message("person", "wait"))))
    assert [getattr(command, "id", "") for command in book.program.decide(state)] == ["m2"]


def test_an_answer_that_can_be_used_starts_the_count_of_those_that_can_not_anew() -> None:
    book = play(output=SCHEMA, **checks("a"))
    for turn in range(1, 4):
        book.answer(f"m{turn}", says("x"))
    book.answer("m4", says('{"n": 1}'))
    book.ran("c1-0", 1)
    assert book.answer("m5", says("x")) == ["m6"]
