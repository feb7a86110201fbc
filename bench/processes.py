"""The processes of a benchmark: the fake model server, a worker for each subject, the cores they sit on."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LATENCIES = (0, 200)
"""Milliseconds that the fake model may take."""


class NotMeasured(Exception):
    """A subject that can't be had, with the reason."""


def environment() -> dict[str, str]:
    """What a child may see: no settings of this shell's that change what is measured, and no proxy or telemetry."""
    gone = ("AGENTHOST_", "OPENAI_", "LANGCHAIN_", "LANGSMITH_", "OTEL_", "PYTHON", "AGNO_")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(gone) and "proxy" not in name.lower()
    }
    return kept | {
        "PYTHONPATH": str(ROOT),
        "AGNO_TELEMETRY": "false",
        "LANGSMITH_TRACING": "false",
        "NO_PROXY": "127.0.0.1",
    }


def cores() -> tuple[list[int], list[int]]:
    """Where subjects run and where the model server runs: one core each, or none where there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return [], []
    found = sorted(os.sched_getaffinity(0))
    return ([found[-1]], [found[-2]]) if len(found) > 1 else ([], [])


def on_a_real_disk() -> str:
    """A folder whose files reach a disk: the system's temporary one, or, where that is memory, the project's."""
    with contextlib.suppress(OSError):
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
        place = tempfile.gettempdir()
        over = [(len(where), kind) for where, kind in mounts if (place + "/").startswith(where.rstrip("/") + "/")]
        if over and max(over)[1] in ("tmpfs", "ramfs"):
            return str(ROOT)
    return tempfile.gettempdir()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder of our own on a real disk; gone afterwards."""
    made = tempfile.mkdtemp(prefix=".agenthost-bench-", dir=on_a_real_disk())
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _pin(process: "subprocess.Popen[str]", cpus: list[int]) -> None:
    if cpus:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(process.pid, cpus)


class FakeModel:
    """The fake model server, on a core of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.fake_model"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        assert self._process.stdout is not None
        _pin(self._process, cores()[1])
        self.port = int(self._process.stdout.readline())
        self.urls = {latency: f"http://127.0.0.1:{self.port}/l{latency}/v1" for latency in LATENCIES}

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Worker:
    """The process of one subject. Raises NotMeasured where it can't start or falls over."""

    def __init__(self, subject: str, python: Path, urls: dict[int, str], place: Path, pinned: bool = True) -> None:
        self.subject = subject
        place.mkdir(parents=True, exist_ok=True)
        self._errors = place / "stderr.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(python), "-m", "bench.worker", subject],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=environment(),
            )
        try:
            self.order(urls=urls, folder=str(place), cpus=cores()[0] if pinned else [])
        except BaseException:
            self.close()
            raise

    def order(self, **order: Any) -> Any:
        """Give an order and wait for what came of it."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise NotMeasured(self._why())
        return json.loads(line)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _why(self) -> str:
        lines = [line for line in self._errors.read_text("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "its process ended without a word"

    def close(self) -> None:
        """End the process."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
