"""The benchmark through its front door, with counts so small that its figures mean nothing: it must not rot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.fake_model import TEXT, answer
from bench.records import Results, pairwise
from bench.report import WANTED

ROOT = Path(__file__).resolve().parents[2]


def test_ours_and_the_floors_are_measured_and_written(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--tiny", "--no-peers", "--suite", "runs", "--suite", "growth"]
    command += ["--suite", "routing"]
    done = subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = json.loads(file.read_text("utf-8"))
    assert all(set(record) == {"suite", "subject", "metric", "value", "unit"} for record in records), records
    runs = {record["subject"]: record["value"] for record in records if record["metric"] == "runs, 64 at once, 0 ms"}
    assert runs.keys() == {"bare loop", "bare loop + journal", "agenthost"}
    assert all(value > 0 for value in runs.values())
    metrics = {(record["suite"], record["subject"], record["metric"]) for record in records}
    unasked = {"start", "sandbox", "soak", "http", "day", "control"}
    missing = [
        wanted.text
        for wanted in WANTED
        if wanted.suite not in unasked
        and "langgraph" not in wanted.text
        and (wanted.suite, wanted.subject, wanted.metric) not in metrics
    ]
    assert not missing, "the report asks for what no suite measures"
    assert "agenthost" in done.stdout and "Wanted" in done.stdout


def measured(file: Path, *words: str) -> dict[tuple[str, str], float | None]:
    command = [sys.executable, "-m", "bench", "--tiny", *words, "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {(record["subject"], record["metric"]): record["value"] for record in json.loads(file.read_text("utf-8"))}


def test_a_sandbox_is_measured_beside_the_bare_ones(tmp_path: Path) -> None:
    found = measured(tmp_path / "figures.json", "--suite", "sandbox", "--box", "bubblewrap")
    assert found["python3, bare", "print(1)"]
    assert found["python3, bare", "pytest"]
    if found["agenthost, bubblewrap", "print(1), warm"] is not None:  # else its absence stands there with the reason
        asked = [one for one in WANTED if (one.suite, one.subject) == ("sandbox", "agenthost, bubblewrap")]
        assert [one.text for one in asked if not found.get((one.subject, one.metric))] == []


def test_a_cancel_is_measured_beside_killing_the_same_processes(tmp_path: Path) -> None:
    found = measured(tmp_path / "figures.json", "--suite", "control", "--box", "bubblewrap")
    if (
        found.get(("agenthost, bubblewrap", "cancel until all of it is gone, worst")) is not None
    ):  # else the reason stands there
        assert found["kill -9, bare (beside bubblewrap)", "until the processes are dead, p50"]
        assert found["agenthost", "pause until it rests, p50"]
        assert found["agenthost", "reply until the model is asked with it, p50"]


def test_a_host_that_serves_is_measured_beside_the_bare_loop(tmp_path: Path) -> None:
    found = measured(tmp_path / "figures.json", "--no-peers", "--suite", "http", "--suite", "day")
    assert all(value is not None for value in found.values())
    of_peers = ("AgentOS", "FastAPI", "1,000 waiting")  # fewer wait here
    asked = [one for one in WANTED if one.suite in ("http", "day") and not any(word in one.text for word in of_peers)]
    assert len(asked) == 4
    assert [one.text for one in asked if (one.subject, one.metric) not in found] == []


def test_a_local_model_is_measured_beside_plain_http(tmp_path: Path) -> None:
    found = measured(tmp_path / "figures.json", "--suite", "local")
    for metric in ("start to the first answer, 0.1 M", "tokens/s, of plain HTTP's, 0.1 M"):
        assert found["agenthost, llamacpp", metric]


def test_what_cannot_be_had_stands_in_the_file_with_its_reason(tmp_path: Path) -> None:
    results = Results()
    results.missing("runs", "a peer", "runs", "1/s", "it can't be installed")
    results.write(tmp_path / "figures.json")
    (record,) = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert record["value"] is None
    assert record["why"] == "it can't be installed"


def test_ratios_are_of_what_was_measured_together() -> None:
    assert pairwise([10.0, 1.0, 30.0], [5.0, 1.0, 10.0]) == 2.0


@pytest.mark.parametrize("stream", [b"true", b"false"])
def test_the_fake_model_calls_the_tool_first_and_then_says_what_came_of_it(stream: bytes) -> None:
    asked = b'{"stream":%s,"tools":[{}],"messages":[{"role":"user","content":"2 + 3?"}]}' % stream
    assert b'"name":"add"' in answer(b"/l0/v1/chat/completions", asked)
    told = asked.replace(b"}]}", b'},{"role":"tool","content":"5"}]}')
    said = answer(b"/l0/v1/chat/completions", told)
    assert b'"name":"add"' not in said
    assert TEXT.split()[-2].encode() in said
    assert b'"name":"add"' in answer(b"/loop0/v1/chat/completions", told)
    assert b'"name":"add"' not in answer(b"/loop0/v1/chat/completions", told.replace(b'"5"', b'"done"'))
