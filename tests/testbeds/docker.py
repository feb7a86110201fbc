"""A private Docker engine for a whole run of the tests, shared by its workers, gone when the run has ended.

It starts when a test first wants it. The image of the tests comes from a cache that scripts/docker.sh fills, so that
the tests themselves reach no other machine. Without root, an engine or the image, tests are skipped with the reason;
with AGENTHOST_TEST_DOCKER=required they fail.
"""

import fcntl
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import pytest

from testbeds.keeper import end_processes

IMAGE = "agenthost-test"
STARTS_WITHIN, ENDS_WITHIN = 60.0, 60.0
KEEPER = Path(__file__).with_name("keeper.py")


class Missing(Exception):
    """No engine can be had here, and why."""


def folder_of_run() -> str:
    """Short, because an engine's sockets lie deep in it and their paths may have 107 bytes."""
    base = tempfile.gettempdir()
    return f"{base if len(base) < 40 else '/tmp'}/ahd-{os.getpid()}-{secrets.token_hex(3)}"


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] = getattr(config, "workerinput", {})
    bed: tuple[str, int] = given.get("docker_bed") or (folder_of_run(), os.getpid())
    config.stash[BED] = (bed[0], bed[1])


BED = pytest.StashKey[tuple[str, int]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of xdist shares what its controller has."""
    node.workerinput["docker_bed"] = node.config.stash[BED]


def pytest_unconfigure(config: pytest.Config) -> None:
    folder, owner = config.stash.get(BED, ("", 0))
    if owner == os.getpid() and Path(folder).exists():
        end(Path(folder))


def end(folder: Path) -> None:
    """Have the keeper end the engine and wait until nothing of it is there."""
    deadline = time.monotonic() + ENDS_WITHIN
    try:
        os.kill(int((folder / "keeper.pid").read_text()), signal.SIGTERM)
    except (OSError, ValueError):
        end_processes(folder)  # the keeper is gone
        shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.fixture(scope="session")
def docker_engine(request: pytest.FixtureRequest) -> str:
    """The address of the engine. It has the image IMAGE."""
    folder, owner = request.config.stash[BED]
    try:
        return engine(Path(folder), owner)
    except Missing as missing:
        _without(str(missing))


def _without(why: str) -> NoReturn:
    if os.environ.get("AGENTHOST_TEST_DOCKER") == "required":
        pytest.fail(f"AGENTHOST_TEST_DOCKER=required, and {why}")
    pytest.skip(f"no Docker Engine for the tests: {why}")


def cached() -> Path:
    """The image's file system as a tar."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "agenthost-tests" / "sandbox.tar"


def engine(folder: Path, owner: int) -> str:
    """The address of the run's engine, which the first who asks starts. Raises Missing."""
    if os.geteuid() != 0:
        raise Missing("it needs root")
    if shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
        raise Missing("dockerd is not here; run: scripts/docker.sh")
    if not cached().exists():
        raise Missing(f"the image {cached()} is not here; run: scripts/docker.sh")
    folder.mkdir(mode=0o711, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = folder / "said"
        if not said.exists():
            said.write_text(_start(folder, owner))
        if said.read_text():
            raise Missing(said.read_text())
    return f"unix://{folder}/docker.sock"


def _start(folder: Path, owner: int) -> str:
    """Start it, with its image. What is wrong, else nothing."""
    env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    subprocess.run(
        [sys.executable, str(KEEPER), str(folder), str(owner)], check=True, stdin=subprocess.DEVNULL, env=env
    )
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            if ask(folder, "GET", "/_ping")[0] == 200:
                break
        except OSError:
            pass
        if (folder / "ended").exists() or time.monotonic() > deadline:
            lines = (folder / "log").read_text(errors="replace").strip().splitlines()
            return "dockerd does not start: " + " / ".join(lines[-3:])
        time.sleep(0.05)
    query = urlencode({"fromSrc": "-", "repo": IMAGE, "tag": "latest"})
    with cached().open("rb") as image:
        status, body = ask(folder, "POST", f"/images/create?{query}", image)
    return "" if status == 200 and b'"error"' not in body else f"the image can't be imported: {body[-400:]!r}"


class _Local(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(folder: Path, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Ask the engine, by its HTTP API: the status and the answer."""
    connection = _Local(f"{folder}/docker.sock")
    try:
        connection.request(method, path, body, {"Content-Type": "application/x-tar"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
