"""The folder that containers live in, and what a host that was killed left there."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agenthost.sandboxes.gvisor import cores
from agenthost.sandboxes.owners import started

_OWNER = "owner"
_STATE = "state"
_SECONDS = 20.0


class Keeper:
    """One host's folder under `base`: `state` is runsc's own, beside it a folder for each container."""

    def __init__(self, base: Path, runsc: Sequence[str]) -> None:
        self._base = base
        self._runsc = list(runsc)
        self.folder = base / f"{os.getpid()}-{secrets.token_hex(4)}"

    @property
    def state(self) -> Path:
        return self.folder / _STATE

    def open(self) -> None:
        """Make the folder, after the ones of hosts that are no more are cleared."""
        self._base.mkdir(parents=True, exist_ok=True)
        for folder in self._base.iterdir():
            if folder != self.folder and not self._is_kept(folder):
                self._clear(folder)
        self.folder.mkdir(mode=0o700)
        (self.folder / _OWNER).write_text(f"{os.getpid()} {started(os.getpid())}")
        self.state.mkdir(mode=0o700)

    def close(self) -> None:
        """End every container of this host and remove the folder."""
        if self.folder.is_dir():
            self._clear(self.folder)

    def delete(self, container: str) -> None:
        """End a container, whatever it does, and remove what runsc keeps of it."""
        self._ask(self.state, "delete", "--force", container)

    def _is_kept(self, folder: Path) -> bool:
        try:
            pid, _, began = (folder / _OWNER).read_text().partition(" ")
        except OSError:
            # it is being made just now, or its removal was broken off
            return time.time() - folder.stat().st_mtime < _SECONDS
        return pid.isdigit() and began != "" and started(int(pid)) == began

    def _clear(self, folder: Path) -> None:
        state = folder / _STATE
        if state.is_dir():
            for found in self._containers(state):
                self._ask(state, "delete", "--force", str(found.get("id", "")))
                _end(int(found.get("pid") or 0), state)
        cores.clear(folder.name)
        shutil.rmtree(folder, ignore_errors=True)

    def _containers(self, state: Path) -> list[dict[str, Any]]:
        said = self._ask(state, "list", "--format", "json")
        try:
            return json.loads(said) or []
        except ValueError:
            return []

    def _ask(self, state: Path, *words: str) -> str:
        command = [*self._runsc, "--root", str(state), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS, env={})
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout


def _end(pid: int, state: Path) -> None:
    """Kill a sandbox process that `delete` left, by its pid and only where its command line names this state."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes() if pid > 0 else b""
        if os.fsencode(state) in words:
            os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
