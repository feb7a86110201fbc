"""Packages of PyPI, of fixed versions, in environments of their own in a cache folder: for clients that would drag half of
PyPI into the lock. Installed by the first test that wants them."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from testbeds.npm import NotInstalled


def python_with(*packages: str) -> Path:
    """The Python of an environment that has those packages (`name==version`). Raises NotInstalled."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    text = "\n".join([f"{sys.version_info[0]}.{sys.version_info[1]}", *sorted(packages)])
    folder = Path(base) / "agenthost-tests" / f"pypi-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    python, done = folder / "venv" / "bin" / "python", folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _run([find_uv_bin(), "venv", "--clear", "--python", sys.executable, str(folder / "venv")], packages)
            _run([find_uv_bin(), "pip", "install", "--python", str(python), *packages], packages)
            done.touch()
    return python


def _run(command: list[str], packages: tuple[str, ...]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if run.returncode:
        raise NotInstalled(f"uv couldn't install {packages} (is PyPI reachable?): {run.stderr[-2000:]}")
