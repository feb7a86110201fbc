"""Two real hosts, one of which works for the other, and one of which is killed meanwhile."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

TOKEN = "ah_the-token-of-the-owner-here"
PATIENCE = 90
PLAYS = """\
rules:
  - when: {says: a while, turn: 0}
    reply: {text: "it took a while", delay: 4}
  - reply: {text: "You said {{said}}"}
"""
ECHO = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: echo}
spec: {description: Says it back, instructions: Say it back.}
"""
FAR = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: far}
spec:
  description: Elsewhere
  runtime: a2a
  a2a: {url: "http://127.0.0.1:PORT/a2a/echo", token: other}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: flow}
spec:
  description: One step, elsewhere
  roles: {one: {agent: far}}
  steps: [{id: only, role: one, prompt: "{{ task.text }}"}]
  output: "{{ steps.only.text }}"
"""


class Up:
    """`agenthost up` on a home; killed and started as often as a test wants."""

    def __init__(self, home: Path, manifests: str, toml: str = "") -> None:
        self.home = home
        with socket.socket() as side:
            side.bind(("127.0.0.1", 0))
            self.port: int = side.getsockname()[1]
        (home / "manifests").mkdir(parents=True)
        (home / "manifests" / "all.yaml").write_text(manifests)
        (home / "agenthost.toml").write_text(toml)
        (home / "plays.yaml").write_text(PLAYS)
        (home / "token").touch(0o600)
        (home / "token").write_text(TOKEN)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTHOST_", "COV_"))}
        self.env = kept | {
            "AGENTHOST_HOME": str(home),
            "AGENTHOST_MODEL": f"scripted:{home}/plays.yaml",
            "AGENTHOST_SANDBOX": "bubblewrap",
        }
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "agenthost.cli", "up", "--quiet", "--port", str(self.port)]
        out = (self.home / "out.txt").open("ab")
        with out:
            self.process = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if self.http.get("/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError((self.home / "out.txt").read_text())

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(PATIENCE)
        self.http.close()

    def get(self, path: str) -> Any:
        return self.http.get(f"/api/v1{path}").raise_for_status().json()

    def tasks(self, name: str) -> list[dict[str, Any]]:
        return self.get(f"/tasks?name={name}")["items"]

    def ended(self, task: str) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            row: dict[str, Any] = self.get(f"/tasks/{task}")["row"]
            if row["state"] in ("completed", "failed", "canceled"):
                return row
            time.sleep(0.1)
        raise AssertionError((self.home / "out.txt").read_text())


@contextmanager
def pair(folder: Path) -> Generator[tuple[Up, Up]]:
    """The host that works, and the one that has it work."""
    with ExitStack() as stack:
        there = Up(folder / "there", ECHO)
        stack.callback(there.close)
        there.start()
        here = Up(
            folder / "here",
            FAR.replace("PORT", str(there.port)),
            f'[network]\nprivate = ["127.0.0.1:{there.port}"]\n',
        )
        stack.callback(here.close)
        here.start()
        here.http.put("/api/v1/secrets/other", json={"value": TOKEN}).raise_for_status()
        yield here, there


def given(here: Up, there: Up) -> str:
    """Have work given to the other host, until that has it and this one knows so."""
    task: str = (
        here.http.post("/api/v1/tasks", json={"name": "flow", "text": "take a while"}).raise_for_status().json()["id"]
    )
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        rows = here.tasks("far")
        events = here.get(f"/tasks/{rows[0]['id']}/journal") if rows else []
        if any(recorded["event"]["type"] == "begun" for recorded in events):
            assert there.tasks("echo")[0]["state"] in ("submitted", "working")
            return task
        time.sleep(0.02)
    raise AssertionError("it was not given")


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["who works", "who waits"])
def test_work_for_another_host_survives_the_death_of_either_and_is_done_once(tmp_path: Path, killed: str) -> None:
    with pair(tmp_path) as (here, there):
        task = given(here, there)
        dead = there if killed == "who works" else here
        dead.kill()
        time.sleep(0.5)
        dead.start()
        row = here.ended(task)
        assert row["state"] == "completed", row
        (only,) = there.tasks("echo")
        assert only["state"] == "completed"
        (last,) = [e for e in here.get(f"/tasks/{task}/journal") if e["event"]["type"] == "finished"]
        assert last["event"]["parts"][0]["text"] == "it took a while"
