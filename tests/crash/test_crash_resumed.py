"""SIGKILL while a provider makes an answer in the background: the same answer is fetched, not another one paid for."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from agenthost.testing.openai_server.process import OpenAIServer
from tests.crash.test_crash import BACKGROUND, environment

HERE = Path(__file__).parent
PLAYBOOK = 'rules: [{reply: {text: "Slowly but surely done.", delay: 0.2}}]'
SETTINGS = """
[models]
default = "bg"
[models.providers.fake]
base-url = "URL"
wire = "responses"
"""


def run(home: Path) -> subprocess.Popen[bytes]:
    with (home / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crash.one", str(home)],
            cwd=HERE.parent.parent,
            env=environment(home),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def events(home: Path) -> list[str]:
    """The kinds of the events that are committed, in order."""
    file = home / "agenthost.db"
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            return [kind for (kind,) in database.execute("SELECT kind FROM events ORDER BY task, seq")]
        except sqlite3.OperationalError:
            return []


@pytest.mark.parametrize("moment", ["asked", "begun"])
def test_a_killed_host_fetches_the_answer_that_was_begun(tmp_path: Path, moment: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    playbook = tmp_path / "playbook.yaml"
    playbook.write_text(PLAYBOOK)
    with OpenAIServer(playbook, home / "provider", latency=300, pause=100) as provider:
        (home / "agenthost.toml").write_text(SETTINGS.replace("URL", provider.url) + BACKGROUND)
        worker = run(home)
        try:
            while worker.poll() is None and moment not in events(home):
                time.sleep(0.01)
        finally:
            if worker.poll() is None:
                os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        assert "answered" not in events(home)
        worker = run(home)
        try:
            assert worker.wait(timeout=60) == 0, (home / "worker.log").read_text()
        finally:
            if worker.poll() is None:
                os.kill(worker.pid, signal.SIGKILL)
                worker.wait()
        kinds = events(home)
        made = [answer.key.rpartition("/")[2] for answer in provider.answers()]
        assert kinds.count("answered") == kinds.count("begun") == 1
        if moment == "begun":
            assert made == ["1"] and "retried" not in kinds
        else:
            # Killed before the provider's word came: at most one answer that nobody knows of, in the ledger as cut.
            assert made[-1] == "2" and len(made) <= 2 and kinds.count("retried") == 1
