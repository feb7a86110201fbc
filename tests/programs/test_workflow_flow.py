"""Order, conditions, templates, loops over items, output: a workflow's paths without failures."""

import msgspec
import pytest
from workflows import bundle, play

from agenthost.core.commands import CallModel, CallTool, Evaluate, RunCommand, StartChild, View
from agenthost.core.errors import NotFound
from agenthost.core.events import Value
from agenthost.core.parts import DataPart, FilePart, TextPart, text_message
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult, text_result
from agenthost.programs.workflow import WorkflowProgram

SKETCH = FilePart("sha256:1", "image/png", 7, "sketch.png")


def test_steps_run_one_after_another_and_the_last_ones_result_comes_out() -> None:
    book = play(
        [
            {"id": "spec", "role": "coder", "prompt": "Read {{ input.text }}"},
            {"id": "run", "command": "echo {{ steps.spec.text }}"},
        ],
        input={"text": {"type": "string"}},
        inputs={"text": "this"},
    )
    assert list(book.open) == ["spec-1"]
    assert book.open["spec-1"] == StartChild("spec-1", "agent", "coder", (TextPart("Read this"),), role="coder")
    assert book.ended("spec-1", "hello") == ["run-1"]
    assert book.open["run-1"] == RunCommand("run-1", "echo hello", 60.0)
    book.ran("run-1", stdout="out")
    assert book.finish is not None
    assert book.finish.verdict.outcome == "done"
    assert book.finish.parts == (TextPart("out"),)
    assert book.finish.verdict.evidence == (5,)


def test_needs_let_steps_run_beside_each_other() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "b", "tool": "look", "needs": []},
        {"id": "c", "tool": "look", "needs": ["a", "b"]},
    ]
    book = play(steps)
    assert list(book.open) == ["a-1", "b-1"]
    assert book.answer("a-1", text_result("A")) == []
    assert book.answer("b-1", text_result("B")) == ["c-1"]


def test_a_path_as_condition_needs_no_evaluation_and_a_skipped_step_lets_the_next_run() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "b", "tool": "look", "if": "steps.a.data.go"},
        {"id": "c", "tool": "look", "with": {"skipped": "{{ steps.b.skipped }}", "ok": "{{ steps.b.ok }}"}},
    ]
    book = play(steps)
    assert book.answer("a-1", text_result('{"go": false}')) == ["c-1"]
    assert book.open["c-1"] == CallTool("c-1", "look", {"skipped": True, "ok": True}, safe=True)


def test_a_condition_that_is_more_than_a_path_is_evaluated_with_the_names_it_reads() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "b", "tool": "look", "if": "len(steps.a.text) > input.least and task.text != feedback"},
    ]
    book = play(steps, {"least": 2}, input={"least": {"type": "integer"}, "other": {"default": 1}})
    assert book.answer("a-1", text_result("A")) == ["b-1-if"]
    evaluation = book.evaluation("b-1-if")
    assert list(evaluation.expressions.values()) == [steps[1]["if"]]
    assert evaluation.names["input"] == {"least": 2, "other": 1}
    assert evaluation.names["task"] == {"id": "t1", "title": "the title", "text": "do it"}
    assert evaluation.names["steps"]["a"]["text"] == "A"
    assert evaluation.names["feedback"] == ""
    assert set(evaluation.names) == {"input", "task", "steps", "feedback"}
    assert book.value("b-1-if", True) == ["b-1"]
    book.answer("b-1", text_result("B"))
    assert book.finish is not None
    assert book.finish.parts == (TextPart("B"),)


def test_all_expressions_of_a_step_are_evaluated_together() -> None:
    steps = [
        {
            "id": "a",
            "role": "coder",
            "prompt": "{{ input.x + 1 }} and {{ input.x }} and {{ input.x + 2 }}",
            "files": "[f for f in input.fs]",
        }
    ]
    book = play(steps, {"x": 1, "fs": [msgspec.to_builtins(SKETCH)]}, input={"x": {"type": "integer"}, "fs": {}})
    assert list(book.open) == ["a-1-values"]
    assert isinstance(book.open["a-1-values"], Evaluate)
    assert book.value("a-1-values", 2, 3, [msgspec.to_builtins(SKETCH)]) == ["a-1"]
    child = book.open["a-1"]
    assert isinstance(child, StartChild)
    assert child.parts == (TextPart("2 and 1 and 3"), SKETCH)


def test_files_are_given_as_values_as_lists_or_by_the_path_that_a_step_wrote() -> None:
    steps = [
        {"id": "draw", "command": "draw"},
        {"id": "tidy", "command": "rm old.txt"},
        {"id": "look", "role": "checker", "prompt": "p", "files": "steps.draw.files"},
        {"id": "both", "role": "checker", "prompt": "p", "files": "input.sketch"},
    ]
    book = play(steps, {"sketch": msgspec.to_builtins(SKETCH)}, input={"sketch": {"type": "file"}})
    book.ran("draw-1", changes={"out.png": "sha256:2", "old.txt": "sha256:3", "gone": None})
    assert book.ran("tidy-1", changes={"other.txt": None}) == ["look-1"]
    child = book.open["look-1"]
    assert isinstance(child, StartChild)
    png, txt = FilePart("sha256:2", "image/png", 0, "out.png"), FilePart("sha256:3", "text/plain", 0, "old.txt")
    assert child.parts == (TextPart("p"), png, txt)
    book.ended("look-1", data={"pass": True})
    child = book.open["both-1"]
    assert isinstance(child, StartChild)
    assert child.parts[1:] == (SKETCH,)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("input.x", "`files` must give files, such as input.sketch or steps.ID.files"),
        ("input.y", "`files`: no step of this workflow wrote a file 'gone.txt'"),
    ],
)
def test_what_is_no_file_fails_the_step(files: str, told: str) -> None:
    inputs = {"x": {"digest": 1}, "y": "gone.txt"}
    book = play([{"id": "a", "role": "coder", "prompt": "p", "files": files}], inputs, input={"x": {}, "y": {}})
    assert book.finish is not None
    assert book.finish.verdict.reason == f"step 'a' failed: {told}"


def test_a_foreach_runs_each_item_with_item_and_index_and_collects_in_order() -> None:
    steps = [
        {"id": "each", "role": "coder", "foreach": "input.names", "prompt": "{{ index }}: {{ item }}"},
        {"id": "sum", "tool": "look", "with": {"all": "{{ steps.each.items }}", "text": "{{ steps.each.text }}"}},
    ]
    book = play(steps, {"names": ["x", "y"]}, input={"names": {"type": "array"}})
    assert list(book.open) == ["each-1-0", "each-1-1"]
    child = book.open["each-1-1"]
    assert isinstance(child, StartChild)
    assert (child.parts, child.workspace) == ((TextPart("1: y"),), "copy")
    assert book.ended("each-1-1", "two", changes={"b": "sha256:b"}) == []
    assert book.ended("each-1-0", "one", changes={"a": "sha256:a"}) == ["sum-1"]
    call = book.open["sum-1"]
    assert isinstance(call, CallTool)
    assert [item["text"] for item in call.arguments["all"]] == ["one", "two"]
    assert call.arguments["text"] == "one\ntwo"
    assert book.state.steps["each"].result is not None
    assert book.state.steps["each"].result["files"] == ["a", "b"]


def test_a_foreach_over_nothing_has_ended_at_once() -> None:
    steps = [
        {"id": "a", "tool": "look"},
        {"id": "each", "tool": "look", "foreach": "steps.a.data"},
        {"id": "b", "tool": "look"},
    ]
    book = play(steps, output="{{ steps.each.items }}")
    assert book.answer("a-1", text_result("[]")) == ["b-1"]
    book.answer("b-1", text_result("x"))
    assert book.finish is not None
    assert book.finish.parts == (DataPart([]),)


def test_a_foreach_that_has_to_be_evaluated_and_items_that_have_too() -> None:
    steps = [{"id": "e", "foreach": "range(2)", "tool": "look", "with": {"n": "{{ item * 2 }}"}}]
    book = play(steps)
    assert book.value("e-1-foreach", [5, 6]) == ["e-1-0-values", "e-1-1-values"]
    assert book.evaluation("e-1-1-values").names == {"item": 6}
    assert book.value("e-1-1-values", 12) == ["e-1-1"]
    assert book.open["e-1-1"] == CallTool("e-1-1", "look", {"n": 12}, safe=True)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": 1}, '`foreach` must give a list, and gave {"a":1}'),
        (list(range(10_001)), "`foreach` gave 10,001 items; the most is 10,000"),
    ],
)
def test_a_foreach_wants_a_list_of_a_size_that_can_be_worked_off(value: object, told: str) -> None:
    book = play([{"id": "e", "foreach": "input.x", "tool": "look"}], {"x": value}, input={"x": {}})
    assert book.finish is not None
    assert book.finish.verdict.reason == f"step 'e' failed: {told}"


def test_another_workflow_is_a_child_with_its_inputs() -> None:
    steps = [{"id": "sub", "workflow": "other", "with": {"n": "{{ input.n }}", "deep": [{"t": "<{{ input.n }}>"}]}}]
    book = play(steps, {"n": 3}, input={"n": {"type": "integer"}})
    assert book.open["sub-1"] == StartChild("sub-1", "workflow", "other", inputs={"n": 3, "deep": [{"t": "<3>"}]})
    book.ended("sub-1", data={"x": 1})
    assert book.finish is not None
    assert book.finish.parts == (DataPart({"x": 1}),)


def test_tools_say_whether_they_may_be_called_again() -> None:
    book = play([{"id": tool, "tool": tool, "needs": []} for tool in ("look", "put", "send")])
    assert [book.open[f"{tool}-1"].repeatable for tool in ("look", "put", "send")] == [True, True, False]


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        ("{{ steps.a.text }}!", (TextPart("hi!"),)),
        ("{{ input.f }}", (SKETCH,)),
        ("{{ input.fs }}", (SKETCH, SKETCH)),
        ({"n": "{{ input.n }}", "l": ["{{ steps.a.text }}"]}, (DataPart({"n": 4, "l": ["hi"]}),)),
        ({"digest": "d", "media_type": "m", "size": 1, "more": 2},) * 2,
        ({"digest": "d", "media_type": "m", "size": "big"},) * 2,
    ],
)
def test_the_output_is_words_data_or_files(output: object, parts: object) -> None:
    file = msgspec.to_builtins(SKETCH)
    inputs = {"f": file, "fs": [file, file], "n": 4}
    book = play([{"id": "a", "tool": "look"}], inputs, input={"f": {}, "fs": {}, "n": {}}, output=output)
    book.answer("a-1", text_result("hi"))
    assert book.finish is not None
    assert book.finish.parts == ((DataPart(parts),) if isinstance(parts, dict) else parts)


def test_the_last_steps_words_data_and_files_come_out_where_no_output_is_given() -> None:
    book = play([{"id": "a", "tool": "look"}, {"id": "b", "tool": "look", "if": "steps.a.data.x"}])
    book.answer("a-1", ToolResult((TextPart("w"), DataPart({"x": 0}), SKETCH)))
    assert book.finish is not None
    assert book.finish.parts == (TextPart("w"), DataPart({"x": 0}), SKETCH)


def test_with_every_step_skipped_nothing_comes_out() -> None:
    book = play([{"id": "a", "tool": "look", "if": "input.x"}], input={"x": {"default": False}})
    assert book.finish is not None
    assert (book.finish.verdict.outcome, book.finish.parts) == ("done", ())


def test_an_output_that_must_be_evaluated_sees_every_step() -> None:
    steps = [{"id": "a", "tool": "look"}, {"id": "b", "tool": "look"}]
    book = play(steps, output="{{ [s for s in steps] }}")
    book.answer("a-1", text_result("A"))
    assert book.answer("b-1", text_result("B")) == ["output"]
    names = book.evaluation("output").names
    assert {id: step["text"] for id, step in names["steps"].items()} == {"a": "A", "b": "B"}
    book.value("output", ["a", "b"])
    assert book.finish is not None
    assert book.finish.parts == (DataPart(["a", "b"]),)


def test_an_output_that_can_not_be_made_says_so() -> None:
    book = play([{"id": "a", "tool": "look"}], output="{{ steps.a.data.x }}")
    book.answer("a-1", text_result("A"))
    assert book.finish is not None
    assert book.finish.verdict.outcome == "partly"
    assert "the output can't be made: `steps.a.data.x`: steps.a.data is null" in book.finish.verdict.reason


def test_no_two_writers_work_in_the_same_files() -> None:
    steps = [
        {"id": "a", "role": "coder", "prompt": "p"},
        {"id": "b", "command": "x", "needs": []},
        {"id": "c", "command": "y", "needs": []},
        {"id": "d", "role": "coder", "prompt": "p", "needs": ["c"]},
        {"id": "e", "role": "coder", "prompt": "p", "needs": ["a", "b", "d"]},
    ]
    book = play(steps)
    assert {id: getattr(command, "workspace", "") for id, command in book.open.items()} == {"a-1": "copy", "b-1": ""}
    assert book.ran("b-1") == ["c-1"]
    assert book.ran("c-1") == ["d-1"]
    assert getattr(book.open["d-1"], "workspace", "") == "copy"
    book.ended("a-1")
    assert book.ended("d-1") == ["e-1"]
    assert getattr(book.open["e-1"], "workspace", "") == "shared"


def test_a_command_waits_for_a_child_that_works_in_the_same_files() -> None:
    steps = [
        {"id": "t", "tool": "look", "needs": []},
        {"id": "a", "role": "coder", "prompt": "p", "needs": []},
        {"id": "b", "command": "x", "needs": ["t"]},
    ]
    book = play(steps)
    assert getattr(book.open["a-1"], "workspace", "") == "shared"
    assert book.answer("t-1", text_result("")) == []
    assert book.ended("a-1") == ["b-1"]


def test_an_unknown_workflow_is_refused_with_the_nearest_name() -> None:
    program = WorkflowProgram(bundle([{"id": "a", "tool": "look"}]))
    with pytest.raises(NotFound, match="Did you mean 'flow'"):
        program.initial(TaskSpec("t", "workflow", "flaw", "", text_message("person", "x")))


def test_a_workflow_calls_no_model() -> None:
    book = play([{"id": "a", "tool": "look"}])
    with pytest.raises(NotImplementedError):
        book.program.render(book.state, CallModel("m", "default", View(0, 0)))


def test_an_expression_that_nobody_waits_for_any_more_needs_no_names() -> None:
    book = play([{"id": "a", "tool": "look", "if": "1 < 2"}])
    command = Evaluate("other-1-if", {"e0": "1"})
    assert book.program.bind(book.state, command).expressions == {}


def test_answers_that_are_not_values_fail_the_step() -> None:
    for value, told in ((Value({}), "`1 < 2` was not evaluated"), (text_result("x"), "answered with something")):
        book = play([{"id": "a", "tool": "look", "if": "1 < 2"}])
        book.answer("a-1-if", value)
        assert book.finish is not None
        assert told in book.finish.verdict.reason
