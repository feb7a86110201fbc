"""The executor function as Google's platform runs it, by functions-framework: a process of its own on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agenthost.host.posting import get, post
from agenthost.sandboxes.functions.client import Functions
from agenthost.sandboxes.functions.settings import FunctionsSettings

DEPLOYED = Path(__file__).parents[3] / "deploy" / "functions"
SECRET = "a secret of the tests' own"


def free_port() -> int:
    with socket.socket() as side:
        side.bind(("127.0.0.1", 0))
        return side.getsockname()[1]


def apart() -> list[str]:
    """What starts a command in a pid namespace of its own, so that whatever a run gets at is the function's alone;
    empty where that can't be had."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    for more in ([], ["--user", "--map-root-user"]):
        tried = [*words, *more]
        if (
            shutil.which("unshare")
            and subprocess.run([*tried, "true"], capture_output=True, check=False).returncode == 0
        ):
            return tried
    return []


MOST_PROCESSES = 128


@contextmanager
def bounded(name: str) -> Iterator[list[str]]:
    """What starts a command that together with everything below it has at most MOST_PROCESSES processes; nothing where
    there is no cgroup to be had for it. The kernel bounds root's by no other limit."""
    for place in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        group = Path(place, f"agenthost-{name}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            try:
                (group / "pids.max").write_text(str(MOST_PROCESSES))
                words = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
            except OSError:
                words = []
            yield words
            for _ in range(400):
                if not (group / "cgroup.procs").read_text():
                    break
                time.sleep(0.05)
            return
        finally:
            group.rmdir()
    yield []


def harmless() -> bool:
    """Whether a function here can be told to run anything: it reaches no strangers, and its processes are bounded."""
    with bounded(f"probe-{os.getpid()}") as words:
        return bool(apart()) and (os.geteuid() != 0 or bool(words))


@pytest.fixture(scope="session")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running executor function."""
    folder = tmp_path_factory.mktemp("function")
    port = free_port()
    command = [
        *apart(),
        sys.executable,
        "-m",
        "functions_framework",
        "--source",
        str(DEPLOYED / "main.py"),
        "--target",
        "execute",
    ]
    env = {**os.environ, "AGENTHOST_SECRET": SECRET, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    env["THREADS"] = "16"
    with bounded(folder.parent.name + f"-{os.getpid()}") as words:
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [*words, *command, "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log, env=env
            )
        yield from serving(process, port, folder)


def serving(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> Iterator[str]:
    """Wait until it answers, and end it when it has been used."""
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise AssertionError((folder / "log").read_text())
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            except urllib.error.HTTPError as error:
                assert error.code == 405
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise AssertionError("the function never answered: " + (folder / "log").read_text())
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()  # in its own namespace, everything of it ends with it
        process.wait(20)


def client(url: str, workspaces: Path, secret: str | None = SECRET, **settings: object) -> Functions:
    """A client of the function at `url`."""

    async def look_up(name: str) -> str | None:
        return secret

    given = {"url": url, "identity": "none", "memory": 4096, **settings}
    return Functions(FunctionsSettings(**given), workspaces, look_up, post, get)  # pyright: ignore[reportArgumentType]


@pytest.fixture
async def sandbox(function: str, workspaces: Path) -> AsyncIterator[Functions]:
    sandbox = client(function, workspaces)
    yield sandbox
    await sandbox.close()


def running(command: bytes) -> list[str]:
    """The processes of this machine whose command line begins so."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes().startswith(command):
                found.append(file.parent.name)
        except OSError:
            continue
    return found
