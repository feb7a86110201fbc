import json
from pathlib import Path

import pytest

from tests.examples.command import EXAMPLES, PLAYBOOK, agenthost

MODEL = f"scripted:{PLAYBOOK}"


@pytest.mark.parametrize("folder", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_is_valid(folder: str, tmp_path: Path) -> None:
    done = agenthost(tmp_path, "validate", "-f", str(EXAMPLES / folder))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_agent_answers(tmp_path: Path) -> None:
    assert agenthost(tmp_path, "apply", "-f", str(EXAMPLES / "hello-agent")).returncode == 0
    done = agenthost(tmp_path, "run", "hello", "what is a journal?", model=MODEL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A journal is a list of what happened" in done.stdout


def test_the_first_workflow_repairs_its_program_and_shows_what_it_printed(tmp_path: Path) -> None:
    assert agenthost(tmp_path, "apply", "-f", str(EXAMPLES / "first-workflow")).returncode == 0
    done = agenthost(tmp_path, "run", "write-and-run", "--json", model=MODEL)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = [json.loads(line) for line in done.stdout.splitlines()][-1]
    assert summary["output"][0]["text"].strip() == "1 4 9 16 25 36 49 64 81 100"
    assert "NameError" in done.stdout
