"""Private container engines for a whole run of the tests, shared by its workers, gone when the run has ended.

Each starts when a test first wants it. Its image comes from a cache that scripts/docker.sh fills, so that the tests
themselves reach no other machine.
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from testbeds.asking import ask
from testbeds.left import end_processes

IMAGE = "agenthost-test"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
STARTS_WITHIN, ENDS_WITHIN = 60.0, 60.0
KEEPER = Path(__file__).with_name("keeper.py")


class Missing(Exception):
    """No engine can be had here, and why."""


@dataclass(frozen=True)
class Kind:
    """An engine. `name`: the keeper's word for it; `called`: what people call it; `lacks`: what is missing here for
    it, else nothing. AGENTHOST_TEST_`variable`=required makes that a failure, else tests are skipped with the reason."""

    name: str
    called: str
    variable: str
    lacks: Callable[[], str]

    def of(self, request: pytest.FixtureRequest) -> str:
        """The address of the run's engine. It has the image IMAGE."""
        base, owner = request.config.stash[BED]
        try:
            return engine(self, folder_of(base, self), owner)
        except Missing as missing:
            if os.environ.get(f"AGENTHOST_TEST_{self.variable}") == "required":
                pytest.fail(f"AGENTHOST_TEST_{self.variable}=required, and {missing}")
            pytest.skip(f"no {self.called} for the tests: {missing}")


def base_of_run() -> str:
    """Short, because an engine's sockets lie deep in it and their paths may have 107 bytes."""
    base = tempfile.gettempdir()
    return f"{base if len(base) < 40 else '/tmp'}/ahd-{os.getpid()}-{secrets.token_hex(3)}"


def folder_of(base: str, kind: Kind) -> Path:
    return Path(f"{base}-{kind.name[:1]}")


BED = pytest.StashKey[tuple[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] = getattr(config, "workerinput", {})
    bed: tuple[str, int] = given.get("engines") or (base_of_run(), os.getpid())
    config.stash[BED] = (bed[0], bed[1])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of xdist shares what its controller has."""
    node.workerinput["engines"] = node.config.stash[BED]


def pytest_unconfigure(config: pytest.Config) -> None:
    base, owner = config.stash.get(BED, ("", 0))
    if owner == os.getpid():
        for folder in Path(base).parent.glob(f"{Path(base).name}-*"):
            end(folder)


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


def cached() -> Path:
    """The image's file system as a tar."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "agenthost-tests" / "sandbox.tar"


def needs(commands: tuple[str, ...], script: str) -> str:
    """What is missing of an engine that these commands make, which `script` installs."""
    if os.geteuid() != 0:
        return "it needs root"
    for command in commands:
        if shutil.which(command, path=PATH) is None:
            return f"{command} is not here; run: {script}"
    return "" if cached().exists() else f"the image {cached()} is not here; run: scripts/docker.sh"


def engine(kind: Kind, folder: Path, owner: int) -> str:
    """The address of an engine in a folder, which the first who asks starts. Raises Missing."""
    if lacking := kind.lacks():
        raise Missing(lacking)
    folder.mkdir(mode=0o711, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = folder / "said"
        if not said.exists():
            said.write_text(_start(kind, folder, owner))
        if said.read_text():
            raise Missing(said.read_text())
    return f"unix://{folder}/engine.sock"


def _start(kind: Kind, folder: Path, owner: int) -> str:
    """Start it, with its image. What is wrong, else nothing."""
    command = [sys.executable, str(KEEPER), kind.name, str(folder), str(owner)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env={**os.environ, "PATH": PATH})
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            if ask(folder, "GET", "/_ping")[0] == 200:
                break
        except OSError:
            pass
        if (folder / "ended").exists() or time.monotonic() > deadline:
            lines = (folder / "log").read_text(errors="replace").strip().splitlines()
            return f"{kind.called} does not start: " + " / ".join(lines[-3:])
        time.sleep(0.05)
    query = urlencode({"fromSrc": "-", "repo": IMAGE, "tag": "latest"})
    with cached().open("rb") as image:
        status, body = ask(folder, "POST", f"/images/create?{query}", image)
    return "" if status == 200 and b'"error"' not in body else f"the image can't be imported: {body[-400:]!r}"
