"""The main job through the real command: scripted words, a real sandbox, a real failure, a real repair."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.ids import digest
from agenthost.core.media import check_file
from agenthost.models.playbook import load_playbook
from tests.examples.command import EXAMPLES, agenthost

FOLDER = EXAMPLES / "sketch-to-code"
SKETCH = FOLDER / "sketch.png"
OUTPUT = ["P-104 DELIVERED Kiel 26h on time", "P-105 IN_TRANSIT Kassel 50h LATE"]


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_sketch_is_a_small_picture_and_the_one_that_the_playbook_knows() -> None:
    content = SKETCH.read_bytes()
    assert check_file("sketch.png", content, ("image/png",)).media_type == "image/png"
    assert len(content) < 300_000
    known = [rule.when.file for rule in load_playbook(FOLDER / "demo.playbook").rules if rule.when.file]
    assert known == [digest(content)]


def test_the_first_program_fails_and_the_second_prints_what_the_sketch_shows() -> None:
    events = str(FOLDER / "events.txt")
    first = python("first/main.py", events, cwd=FOLDER)
    assert first.returncode == 1
    assert first.stderr.rstrip().endswith("ValueError: Invalid isoformat string: '#'")
    second = python("second/main.py", events, cwd=FOLDER)
    assert second.returncode == 0
    assert second.stdout.splitlines() == OUTPUT


def test_the_second_program_passes_its_tests_and_the_first_does_not(tmp_path: Path) -> None:
    for which, code in (("first", 1), ("second", 0)):
        place = tmp_path / which
        place.mkdir()
        (place / "main.py").write_bytes((FOLDER / which / "main.py").read_bytes())
        (place / "test_main.py").write_bytes((FOLDER / "second" / "test_main.py").read_bytes())
        done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", ".", cwd=place)
        assert done.returncode == code, done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `agenthost demo --json` told."""
    done = agenthost(tmp_path_factory.mktemp("home"), "demo", "--json")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def runs(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of the sandbox to the workflow's own commands, without the listing of files."""
    answers = [line.get("answer") for line in told if line.get("kind") == "answered"]
    found = [answer for answer in answers if answer and answer["type"] == "run-result"]
    return [answer for answer in found if "==> ./main.py <==" not in answer.get("stdout", "")]


def test_the_first_attempt_really_fails_and_its_own_error_goes_back(demo: list[dict[str, Any]]) -> None:
    first, last = runs(demo)
    assert first["exit_code"] == 1
    assert first["stderr"].startswith("Traceback (most recent call last):")
    assert first["stderr"].rstrip().endswith("ValueError: Invalid isoformat string: '#'")
    assert last["exit_code"] == 0
    assert last["stdout"].splitlines() == OUTPUT
    second = next(line["spec"] for line in demo if line.get("kind") == "created" and line["task"].endswith(".code-2"))
    assert first["stderr"] in second["message"]["parts"][0]["text"]


def test_the_checker_fails_the_first_and_passes_the_second(demo: list[dict[str, Any]]) -> None:
    finished = {line["task"].rpartition(".")[2]: line for line in demo if line.get("kind") == "finished"}
    verdicts = [finished[step]["parts"][-1]["data"]["pass"] for step in ("check-1", "check-2")]
    assert verdicts == [False, True]


def test_the_command_that_it_prints_runs_the_program(demo: list[dict[str, Any]]) -> None:
    closing = demo[-1]
    done = subprocess.run(closing["run"], shell=True, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == OUTPUT
    assert Path(closing["program"]).is_file()
    assert Path(closing["trace"]).is_file()
    assert shlex.split(closing["run"])[-2:] == ["python3", "main.py"]


def test_a_second_demo_in_the_same_home_works_and_says_that_its_model_is_scripted(tmp_path: Path) -> None:
    programs: set[str] = set()
    for _ in range(2):
        done = agenthost(tmp_path, "demo")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        assert "a *scripted* model plays" in done.stdout
        programs |= {line for line in done.stdout.splitlines() if line.startswith("The program: ")}
    assert len(programs) == 2


def test_another_picture_is_not_read_and_the_way_to_a_real_model_is_told(tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    content = SKETCH.read_bytes()
    # A comment before the last chunk (12 bytes): another file, and still a picture.
    other.write_bytes(content[:-12] + b"\0\0\0\1tEXtx\0\0\0\0" + content[-12:])
    done = agenthost(tmp_path / "home", "demo", "--file", str(other))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "The scripted model can't read other.png" in done.stdout
    assert "OPENAI_API_KEY" in done.stdout
    assert "main.py" not in done.stdout


def test_it_runs_on_a_picture_of_ones_own_and_stops_where_the_reader_can_make_nothing_of_it(tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.yaml"
    playbook.write_text("rules: [{when: {agent: sketch-reader}, reply: {text: 'UNREADABLE: it shows a cat.'}}]")
    assert agenthost(tmp_path, "apply", "-f", str(FOLDER)).returncode == 0
    words = ("run", "sketch-to-code", "--file", str(SKETCH), "--input", "language=python")
    done = agenthost(tmp_path, *words, model=f"scripted:{playbook}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "UNREADABLE: it shows a cat." in done.stdout
    assert "step 'spec' failed" in done.stdout
    assert "coder" not in done.stdout


def test_another_language_is_run_by_what_the_coder_says_and_no_checker_passes_a_failure(tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.yaml"
    playbook.write_text("""
rules:
  - {when: {agent: sketch-reader}, reply: {text: "# Says hello"}}
  - when: {agent: coder, turn: 0, matches: "exit code: 3"}
    reply: {calls: [{tool: write_file, arguments: {path: run.sh, content: "echo hello"}}]}
  - when: {agent: coder, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: run.sh, content: "exit 3"}}]}
  - {when: {agent: coder, turn: 1}, reply: {text: "I wrote run.sh."}}
  - {when: {agent: checker}, reply: {text: '{"pass": true, "reasons": ["It is lovely."], "feedback": ""}'}}
""")
    assert agenthost(tmp_path, "apply", "-f", str(FOLDER)).returncode == 0
    words = ("run", "sketch-to-code", "--file", str(SKETCH), "--input", "language=sh", "--json")
    done = agenthost(tmp_path, *words, model=f"scripted:{playbook}")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.get("exit_code", 0) for answer in runs(told) if "==>" not in answer.get("stdout", "")] == [3, 0]
    assert told[-1]["output"][0]["text"].endswith("Run it: sh run.sh\n")


def test_a_text_is_not_a_sketch(tmp_path: Path) -> None:
    done = agenthost(tmp_path / "home", "demo", "--file", str(FOLDER / "events.txt"))
    assert done.returncode == 2
    assert "image/png, image/jpeg" in done.stderr
