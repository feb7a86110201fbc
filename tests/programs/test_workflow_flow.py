"""Order, skips, templates, output: a workflow's straight path."""

from workflows import play

from agenthost.core.commands import RunCommand, StartChild
from agenthost.core.parts import TextPart


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
