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
    done = subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = json.loads(file.read_text("utf-8"))
    assert all(set(record) == {"suite", "subject", "metric", "value", "unit"} for record in records), records
    runs = {record["subject"]: record["value"] for record in records if record["metric"] == "runs, 64 at once, 0 ms"}
    assert runs.keys() == {"bare loop", "bare loop + journal", "agenthost"}
    assert all(value > 0 for value in runs.values())
    metrics = {(record["suite"], record["subject"], record["metric"]) for record in records}
    unasked = {"start", "sandbox"}
    missing = [
        wanted.text
        for wanted in WANTED
        if wanted.suite not in unasked
        and "langgraph" not in wanted.text
        and (wanted.suite, wanted.subject, wanted.metric) not in metrics
    ]
    assert not missing, "the report asks for what no suite measures"
    assert "agenthost" in done.stdout and "Wanted" in done.stdout


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
