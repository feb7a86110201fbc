"""The verbs that don't follow: what they ask of a host, what they print, their exit codes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import folder
from agenthost.core.api import Finding, ManifestProblem
from agenthost.core.commands import CallTool
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.core.machines import Need, Waiting
from agenthost.core.replaying import ForkOrder, TrialOrder
from agenthost.core.tools import ToolResult
from tests.cli.fakes import FakeHost
from tests.cli.recorded import ROOT, Recorder, question, sketch_to_code


async def test_tasks_are_listed_a_line_each(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(sketch_to_code()), "tasks", "list") == 0
    fields = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (fields[0], fields[1], fields[2]) == (ROOT, "completed", "sketch-to-code")
    await run(FakeHost(sketch_to_code()), "tasks", "list", "--state", "failed")
    assert capsys.readouterr().out == ""
    await run(FakeHost(sketch_to_code()), "tasks", "list", "--names")
    assert capsys.readouterr().out == f"{ROOT}\n"


async def test_a_task_is_shown_with_what_is_below_it(run: Any, capsys: Any) -> None:
    await run(FakeHost(sketch_to_code()), "tasks", "show", "last")
    out = capsys.readouterr().out
    assert "state    completed, done" in out
    assert f"{ROOT}.code-2\tcompleted\tcode/coder#2\topenai:gpt-5.5" in out


async def test_a_task_that_waits_for_the_machine_says_for_what_and_how_many_are_before_it(
    run: Any, capsys: Any
) -> None:
    host = FakeHost(question())
    other = Waiting("another", Need(memory=1 << 30), 0.0)
    host.waiting = (other, Waiting(f"{ROOT}.code-1", Need(memory=512 << 20, cpu=2), 0.0))
    assert await run(host, "tasks", "show", "last") == 0
    out = capsys.readouterr().out
    assert "waits    for 512 MiB of memory and 2 cores (1 before it)" in out
    assert "1 GiB" not in out


async def test_a_task_by_the_beginning_of_its_id_and_an_unknown_one(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(sketch_to_code()), "tasks", "show", ROOT[:5], "--json") == 0
    assert json.loads(capsys.readouterr().out)["row"]["id"] == ROOT
    with pytest.raises(NotFound):
        await run(FakeHost(sketch_to_code()), "tasks", "show", "zzz")


async def test_a_reply_says_what_was_answered(run: Any, capsys: Any) -> None:
    host = FakeHost(question())
    assert await run(host, "tasks", "reply", "last", "SQLite") == 0
    assert host.said == ["SQLite"]
    assert "Answered 'SQLite' to: Which database shall I use?" in capsys.readouterr().out


@pytest.mark.parametrize(("word", "said"), [("approve", "approve"), ("deny", "deny")])
async def test_an_approval_is_given_or_refused_in_its_own_words(run: Any, word: str, said: str) -> None:
    host = FakeHost(approval())
    assert await run(host, "tasks", word, "last") == 0
    assert host.said == [said]


async def test_a_question_for_words_is_not_approved(run: Any) -> None:
    with pytest.raises(BadInput, match="Use `agenthost tasks reply`"):
        await run(FakeHost(question()), "tasks", "approve", "last")


def approval() -> list[Any]:
    from agenthost.core.commands import Ask

    to = Recorder()
    to.begin("agent", "coder")
    to.ask(ROOT, Ask("a1", "approval", "May it be sent?", ("approve", "deny")))
    return to.items


async def test_cancel_gives_the_reason_and_refuses_what_has_ended(run: Any) -> None:
    host = FakeHost(question())
    assert await run(host, "tasks", "cancel", "last", "--reason", "wrong file") == 0
    assert host.cancelled == ["wrong file"]
    with pytest.raises(BadInput, match="has ended already"):
        await run(FakeHost(sketch_to_code()), "tasks", "cancel", "last")


async def test_a_replay_that_differs_exits_with_1_and_says_where(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(sketch_to_code()), "tasks", "replay", "last") == 1
    assert "differs at event 2: asked for less" in capsys.readouterr().out


async def test_evidence_is_shown_written_and_held_against_the_journal(run: Any, capsys: Any, tmp_path: Path) -> None:
    host = FakeHost(sketch_to_code())
    assert await run(host, "tasks", "evidence", "last") == 0
    out = capsys.readouterr().out
    assert "| 2 | It is nice. | **unmet** |  | ugly |" in out
    assert "check of round 1: pytest \\| tee" in out
    target, page = tmp_path / "evidence.json", tmp_path / "evidence.md"
    assert await run(host, "tasks", "evidence", "last", "--to", str(target)) == 0
    assert await run(host, "tasks", "evidence", "last", "--to", str(page)) == 0
    assert page.read_text() == out
    assert await run(host, "tasks", "evidence", "last", "--verify", str(target)) == 0
    assert "It agrees with the journal" in capsys.readouterr().out
    target.write_text(target.read_text().replace('"ugly"', '"lovely"'))
    assert await run(host, "tasks", "evidence", "last", "--verify", str(target)) == 1
    assert "'reason' is not what the journal gives" in capsys.readouterr().out
    page.write_text("{}")
    with pytest.raises(BadInput, match="is no evidence pack"):
        await run(host, "tasks", "evidence", "last", "--verify", str(page))


async def test_export_writes_the_file_and_says_where(run: Any, capsys: Any, tmp_path: Path) -> None:
    target = tmp_path / "task.zip"
    assert await run(FakeHost([]), "tasks", "export", "last", "--to", str(target)) == 0
    assert target.read_bytes() == b"PK zip"
    assert capsys.readouterr().out == f"{target}\n"
    with pytest.raises(BadInput, match="name another with --to|there is no folder"):
        await run(FakeHost([]), "tasks", "export", "last", "--to", str(tmp_path / "no" / "task.zip"))


async def test_artifacts_are_written_and_never_over_other_files(run: Any, tmp_path: Path, capsys: Any) -> None:
    host = FakeHost(sketch_to_code())
    kept = await host.put_file("a", b"print(1)\n")
    assert await run(host, "tasks", "artifacts", "last", "--out", str(tmp_path / "out")) == 0
    written = Path(capsys.readouterr().out.strip())
    assert written.read_bytes() == b"print(1)\n"
    written.write_bytes(b"mine")
    with pytest.raises(BadInput, match="has other files of these names"):
        await run(host, "tasks", "artifacts", "last", "--out", str(tmp_path / "out"))
    assert written.read_bytes() == b"mine"
    assert kept.size == 9


# --- a workspace ------------------------------------------------------------------------------------


class Editing(FakeHost):
    """An agent that changes a.py, removes old.py, adds new.py and leaves the rest."""

    def __init__(self) -> None:
        super().__init__([])
        for content in (b"a = 2\n", b"new = 1\n"):
            self.files[digest(content)] = content
        changes = {"a.py": digest(b"a = 2\n"), "new.py": digest(b"new = 1\n"), "old.py": None}
        to = Recorder()
        to.begin("agent", "coder")
        to.ask(ROOT, CallTool("t1", "edit", {}))
        to.answer(ROOT, "t1", ToolResult((), changes=changes))
        to.finish(ROOT, "edited")
        self.items = to.items


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    for name, text in {"a.py": "a = 1\n", "old.py": "old = 1\n", "same.py": "same\n", "__init__.py": ""}.items():
        (place / name).write_text(text)
    return place


def state(project: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in project.iterdir()}


async def test_a_workspace_goes_in_whole_empty_files_included(run: Any, project: Path) -> None:
    host = Editing()
    await run(host, "run", "coder", "fix it", "--workspace", str(project))
    assert host.orders[0].workspace == {path.name: digest(path.read_bytes()) for path in project.iterdir()}


async def test_without_a_terminal_the_difference_is_shown_and_nothing_applied(
    run: Any, project: Path, capsys: Any
) -> None:
    before = state(project)
    assert await run(Editing(), "run", "coder", "fix it", "--workspace", str(project)) == 0
    out = capsys.readouterr().out
    assert "-a = 1\n+a = 2" in out and "-old = 1" in out and "+new = 1" in out
    assert f"agenthost tasks artifacts {ROOT} --apply {project}" in out
    assert state(project) == before


async def test_yes_applies_the_difference(run: Any, project: Path) -> None:
    assert await run(Editing(), "run", "coder", "fix it", "--workspace", str(project), "--yes") == 0
    assert state(project) == {"a.py": "a = 2\n", "new.py": "new = 1\n", "same.py": "same\n", "__init__.py": ""}


async def test_what_the_person_changed_meanwhile_is_left_alone(run: Any, project: Path, capsys: Any) -> None:
    class Meanwhile(Editing):
        async def start(self, order: Any) -> Any:
            (project / "a.py").write_text("mine\n")
            return await super().start(order)

    assert await run(Meanwhile(), "run", "coder", "x", "--workspace", str(project), "--yes") == 1
    assert "a.py changed meanwhile" in capsys.readouterr().out
    assert state(project)["a.py"] == "mine\n"


async def test_the_difference_can_be_applied_later(run: Any, project: Path) -> None:
    assert await run(Editing(), "tasks", "artifacts", "last", "--apply", str(project), "--yes") == 0
    assert state(project) == {"a.py": "a = 2\n", "new.py": "new = 1\n", "same.py": "same\n", "__init__.py": ""}


def test_a_difference_of_binary_files_is_one_line() -> None:
    assert folder.difference({"x": b"\0a"}, {"x": b"\0b"}) == ["Binary files a/x (2 bytes) and b/x (2 bytes) differ"]


# --- manifests ----------------------------------------------------------------------------------------


async def test_apply_says_what_became_of_each(run: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "coder.yaml").write_text("kind: Agent\n")
    assert await run(FakeHost([]), "apply", "-f", str(tmp_path)) == 0
    assert capsys.readouterr().out == f"agent {tmp_path}/coder.yaml created\n"
    assert await run(FakeHost([]), "validate", "-f", str(tmp_path)) == 0
    assert "would be created" in capsys.readouterr().out


async def test_mistakes_come_with_file_line_and_key_and_exit_with_2(run: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "coder.yaml").write_text("kind: Agnt\n")
    host = FakeHost([])
    host.problems = [ManifestProblem("coder.yaml", 3, 7, "spec.model", "expected text")]
    assert await run(host, "apply", "-f", str(tmp_path / "coder.yaml")) == 2
    out = capsys.readouterr().out
    assert "coder.yaml:3:7: spec.model: expected text\n1 mistake; nothing was applied" in out


@pytest.mark.parametrize("words", [["-f", "/nowhere.yaml"], ["-f", "."]])
async def test_a_file_that_is_not_there_is_named(run: Any, words: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"there is no (file '/nowhere.yaml'|.yaml file)"):
        await run(FakeHost([]), "apply", *words)


async def test_get_shows_a_manifest_as_yaml_and_names_the_nearest(run: Any, capsys: Any) -> None:
    host = FakeHost([])
    host.agents = {"coder": {"kind": "Agent", "spec": {"instructions": "Write.\nTest.\n"}}}
    assert await run(host, "get", "agent", "coder") == 0
    assert capsys.readouterr().out == "kind: Agent\nspec:\n  instructions: |\n    Write.\n    Test.\n"
    assert await run(host, "get", "agents", "--names") == 0
    assert capsys.readouterr().out == "coder\n"
    with pytest.raises(NotFound, match="Did you mean 'coder'"):
        await run(host, "get", "agent", "codr")
    with pytest.raises(BadInput, match="Did you mean 'agent"):
        await run(host, "get", "agnts")


@pytest.mark.parametrize("words", [("new", "agent", "helper"), ("agent", "new", "helper"), ("new", "workflow", "flow")])
async def test_new_writes_a_file_once_that_says_what_to_do_next(
    run: Any, capsys: Any, tmp_path: Path, monkeypatch: Any, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert await run(FakeHost([]), *words) == 0
    said = capsys.readouterr()
    file = Path(said.out.strip())
    assert f"name: {file.stem}" in file.read_text()
    assert f"agenthost apply -f {file}" in said.err
    with pytest.raises(BadInput, match="is there already"):
        await run(FakeHost([]), *words)


# --- secrets, models, doctor -----------------------------------------------------------------------------


async def test_a_secret_comes_from_stdin_and_is_never_shown(run: Any, capsys: Any, monkeypatch: Any) -> None:
    host = FakeHost([])
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-secret\n"))
    assert await run(host, "secrets", "set", "OPENAI_API_KEY") == 0
    assert host.kept == {"OPENAI_API_KEY": "sk-secret"}
    await run(host, "secrets", "list")
    said = capsys.readouterr()
    assert "OPENAI_API_KEY" in said.out and "sk-secret" not in said.out + said.err
    assert await run(host, "secrets", "delete", "OPENAI_API_KEY") == 0
    assert host.kept == {}


async def test_a_secret_without_value_is_refused(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(BadInput, match="no value was given"):
        await run(FakeHost([]), "secrets", "set", "KEY")


async def test_models_are_listed_with_prices(run: Any, capsys: Any) -> None:
    await run(FakeHost([]), "model", "list")
    assert capsys.readouterr().out.split("\t")[:8] == [
        "openai:gpt-5.5",
        "yes",
        "400k",
        "yes",
        "native",
        "",
        "1.25",
        "10",
    ]


async def test_doctor_exits_with_1_where_something_fails_and_says_how_to_mend_it(run: Any, capsys: Any) -> None:
    host = FakeHost([])
    host.findings = [
        Finding("ok", "home", "/home"),
        Finding("fail", "sandbox", "no bwrap", "apt-get install bubblewrap"),
    ]
    assert await run(host, "doctor") == 1
    assert "apt-get install bubblewrap" in capsys.readouterr().out
    host.findings = host.findings[:1]
    assert await run(host, "doctor") == 0


async def test_a_fork_asks_for_what_was_said_and_is_followed(run: Any, capsys: Any) -> None:
    host = FakeHost(sketch_to_code())
    words = ("tasks", "fork", "last", "in French", "--at", "7", "--definitions", "current")
    assert await run(host, *words) == 0
    assert host.forked == [ForkOrder(7, "in French", "current")]
    capsys.readouterr()
    assert await run(host, "tasks", "fork", "last", "--detach") == 0
    assert capsys.readouterr().out == f"{ROOT}\n"


async def test_a_trial_shows_both_turn_by_turn_and_exits_with_1_where_the_ends_differ(
    run: Any, capsys: Any, tmp_path: Path
) -> None:
    host = FakeHost(sketch_to_code())
    assert await run(host, "tasks", "replay", "last", "--model", "other", "--unrecorded", "error") == 1
    assert host.tried == [TrialOrder("other", ROOT, unrecorded="error")]
    told = capsys.readouterr().out.splitlines()
    assert told[0].split("\t")[:2] == ["(root)", "1"] and told[0].endswith("text, arguments")
    assert '  - send({"to":"ann"}) -> sent' in told
    assert '  + send({"to":"bob"}) -> error: told' in told
    assert any(line.startswith("trial") and "canceled" in line for line in told)
    (tmp_path / "task.zip").write_bytes(b"PK zip")
    assert await run(host, "tasks", "replay", str(tmp_path / "task.zip"), "--model", "other", "--json") == 1
    assert host.tried[1] == TrialOrder("other", file=digest(b"PK zip"))
    assert json.loads(capsys.readouterr().out)["pairs"][1]["differs"] == ["missing"]
