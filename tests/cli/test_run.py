import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from tests.cli.fakes import FakeHost
from tests.cli.recorded import ROOT, Recorder, question, sketch_to_code


async def test_a_pipe_gets_one_line_an_event_and_the_verdict_at_the_end(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(sketch_to_code()), "run", "sketch-to-code") == 0
    out = capsys.readouterr().out
    assert "exit 1 in 0.1s: FileNotFoundError: [Errno 2] No such file or directory: 'state.json'" in out
    assert "goes back to coder (attempt 2 of 5)" in out
    assert "done: the checker passed attempt 2" in out
    assert "\x1b" not in out


async def test_json_is_the_journal_an_object_a_line_then_a_summary(run: Any, capsys: Any) -> None:
    host = FakeHost(sketch_to_code())
    assert await run(host, "run", "sketch-to-code", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["task"], line["seq"], line["kind"]) for line in lines if "seq" in line]
    assert told == [(item.task, item.seq, msgspec.to_builtins(item.event)["type"]) for item in host.recorded]
    assert any(line.get("delta", {}).get("text") == "The " for line in lines)
    assert lines[-1]["kind"] == "summary"
    assert (lines[-1]["outcome"], lines[-1]["exit"]) == ("done", 0)


async def test_failed_work_exits_with_1_and_says_why(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(sketch_to_code(repair=False)), "run", "sketch-to-code") == 1
    assert "unachievable: step 'check' failed after 2 attempts" in capsys.readouterr().out


async def test_a_picture_that_the_scripted_model_cannot_read_exits_with_2(run: Any) -> None:
    to = Recorder()
    to.begin("agent", "coder")
    to.finish(ROOT, "the scripted model can't read it", "blocked", code="scripted-unreadable")
    assert await run(FakeHost(to.items), "run", "coder") == 2


async def test_a_question_in_a_pipe_says_how_to_answer_and_exits_with_4(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(question()), "run", "coder", "tidy up") == 4
    out = capsys.readouterr().out
    assert "Which database shall I use? [SQLite / PostgreSQL]" in out
    assert f"agenthost tasks reply {ROOT} SQLite" in out


async def test_a_question_in_json_carries_the_commands_that_answer(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(question()), "run", "coder", "--json") == 4
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["waits"]["options"] == ["SQLite", "PostgreSQL"]
    assert last["waits"]["answer_with"] == [f"agenthost tasks reply {ROOT} SQLite"]


async def test_an_old_question_that_was_answered_is_not_asked_again(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(question(answered=True)), "run", "coder") == 0
    assert "agenthost tasks reply" not in capsys.readouterr().out


async def test_files_inputs_model_and_key_are_in_the_order(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    host = FakeHost(sketch_to_code())
    words = ["--file", str(tmp_path / "a.txt"), "--input", "language=python", "--input", f"sketch={tmp_path}/a.txt"]
    await run(host, "run", "sketch-to-code", "hello", *words, "--model", "openai:gpt-5.5", "--key", "once")
    order = host.orders[0]
    assert [file.name for file in order.files] == ["a.txt"]
    assert order.inputs["language"] == "python"
    assert order.inputs["sketch"].digest == digest(b"words")
    assert (order.text, order.model, order.key) == ("hello", "openai:gpt-5.5", "once")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--file", "/nowhere/x.png"], "there is no file '/nowhere/x.png'"),
        (["--file", "/"], "'/' is a folder; name a file"),
        (["--input", "language"], "write it as NAME=VALUE"),
        (["--workspace", "/nowhere"], "there is no folder /nowhere"),
        (["--detach"], "start one with `agenthost up`"),
    ],
)
async def test_bad_words_say_what_to_give_instead(run: Any, words: list[str], told: str) -> None:
    with pytest.raises(BadInput, match="(?s).*") as caught:
        await run(FakeHost([]), "run", "coder", *words)
    assert told in caught.value.message


async def test_an_unknown_name_is_told_with_the_nearest(run: Any) -> None:
    with pytest.raises(NotFound, match="Did you mean 'coder'"):
        await run(FakeHost([]), "run", "codr")


async def test_detach_prints_the_task_and_does_not_follow(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(sketch_to_code()), "run", "sketch-to-code", "--detach", own=False) == 0
    assert capsys.readouterr().out == f"{ROOT}\n"
