"""The peers' environment: locked in `peers.lock`, installed with uv into `.bench-venv`, apart from ours."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT, NotMeasured

FOLDER = ROOT / ".bench-venv"
LOCK = ROOT / "bench" / "peers.lock"
PATIENCE = 300
"""Seconds that the installation may take."""


def python() -> Path:
    """The interpreter of the peers' environment, installed where it isn't. Raises NotMeasured with the reason."""
    interpreter = FOLDER / "bin" / "python"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp = FOLDER / ".locked"
    if interpreter.exists() and stamp.exists() and stamp.read_text("utf-8") == wanted:
        return interpreter
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise NotMeasured("the peers can't be installed: uv is not there; run `make install`")
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)])
    _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(interpreter), str(LOCK)])
    stamp.write_text(wanted, "utf-8")
    return interpreter


def _run(command: list[str]) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    env["UV_PYTHON_DOWNLOADS"] = "never"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=ROOT, env=env)
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"the peers can't be installed: it took more than {PATIENCE} s") from None
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise NotMeasured(f"the peers can't be installed: {said[:300]}")
