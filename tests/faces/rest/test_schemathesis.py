"""schemathesis over the whole description of a running host, over TCP: nothing but documented answers, no server error.

All checks are on, in all phases: examples, coverage (every boundary), fuzzing, and chains of operations by their links.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIG = Path(__file__).with_name("schemathesis.toml")
MANIFESTS = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: quick}
spec: {description: Says it back, instructions: Say it back.}
"""
PLAYS = """\
rules:
  - reply: {text: "You said {{said}}"}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A host as its user starts it: its URL and the owner's token."""
    folder = tmp_path_factory.mktemp("served")
    home = folder / "home"
    (home / "manifests").mkdir(parents=True)
    (home / "manifests" / "quick.yaml").write_text(MANIFESTS)
    (folder / "plays.yaml").write_text(PLAYS)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTHOST_", "OPENAI_"))}
    environ |= {
        "AGENTHOST_HOME": str(home),
        "AGENTHOST_MODEL": f"scripted:{folder}/plays.yaml",
        "AGENTHOST_SANDBOX": "bubblewrap",
    }
    command = [sys.executable, "-m", "agenthost.cli", "up", "--no-open", "--quiet", "--json", "--port", "0"]
    with (folder / "log").open("w") as log:
        host = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert host.stdout is not None
            url = json.loads(host.stdout.readline())["url"]
            yield url, (home / "token").read_text().strip()
        finally:
            host.terminate()
            host.wait(30)
            assert host.stdout is not None
            host.stdout.close()
    written = (folder / "log").read_text()
    assert "request failed" not in written and "Traceback" not in written, written[-4000:]


def tried(folder: Path, url: str, *options: str) -> str:
    """What schemathesis says where it found something, empty where it didn't."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{url}/openapi.json"]
    always = ["--checks", "all", "--suppress-health-check", "all", "--request-timeout", "60", "--no-color"]
    environ = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(
        [*command, *always, *options], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_every_answer_is_documented_and_none_is_an_error_of_the_host(served: tuple[str, str], tmp_path: Path) -> None:
    url, token = served
    phases = "examples,coverage,fuzzing,stateful"
    options = ("-H", f"Authorization: Bearer {token}", "--phases", phases, "--max-examples", "10")
    found = tried(tmp_path, url, *options)
    assert not found, found


@pytest.mark.slow
def test_without_a_token_the_answers_are_documented_too(served: tuple[str, str], tmp_path: Path) -> None:
    found = tried(tmp_path, served[0], "--phases", "examples,coverage,fuzzing", "--max-examples", "3")
    assert not found, found
