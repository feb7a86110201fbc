"""What the sandboxes are measured beside: the same commands bare, and the ways that others take into a container."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiodocker

from agenthost.sandboxes.docker.engine import reach
from bench.boxes import Engine
from bench.processes import NotMeasured, environment

CODE = "print(1)"
TEST = "def test_it():\n    assert 1 + 1 == 2\n"
PYTEST = ("-m", "pytest", "-q")
_IDLE = ("sleep", "1000000")

Timed = Callable[[], Awaitable[float]]
"""Does it once; milliseconds. Raises NotMeasured where it fails."""


def bare(folder: Path, *what: str) -> float:
    """Milliseconds that a plain Python takes with these words in `folder`. Its pytest loads no plugins but its own."""
    env = {**environment(), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env["PYTEST_ADDOPTS"] = "-p no:cacheprovider"
    return _timed([sys.executable, *what], folder, env)


def _timed(command: Sequence[str], folder: Path, env: dict[str, str]) -> float:
    began = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, cwd=folder, env=env, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotMeasured(f"{command[0]} can't be run: {problem}") from problem
    took = (time.perf_counter() - began) * 1000
    if done.returncode:
        raise NotMeasured(f"{command[0]} failed: {(done.stderr or done.stdout).decode(errors='replace')[-300:]}")
    return took


async def bwrap() -> float:
    """The machine's Python in new namespaces of bwrap, with no limits."""
    words = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "--die-with-parent"]
    return await asyncio.to_thread(_timed, [*words, "python3", "-c", CODE], Path("/"), dict(os.environ))


async def runsc() -> float:
    """The machine's Python in a new sandbox of gVisor, by `runsc do`."""
    words = ["runsc", "--platform=systrap", "--network=none", "--ignore-cgroups", "--overlay2=none"]
    if os.geteuid() != 0:
        words.append("--rootless")
    if shutil.which("runsc") is None:
        raise NotMeasured("runsc is not installed")
    return await asyncio.to_thread(_timed, [*words, "do", "python3", "-c", CODE], Path("/"), dict(os.environ))


class Containers:
    """A running container of the image to exec in, and new ones, by the engine's API, as others do it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._docker: aiodocker.Docker | None = None
        self._idle: aiodocker.containers.DockerContainer | None = None

    async def open(self) -> None:
        """Start the container that is exec'd in."""
        self._docker = await reach(self._engine.address)
        self._idle = await self._made(_IDLE)
        await self._idle.start()

    async def exec(self) -> float:
        """`docker exec` of print(1)."""
        assert self._idle is not None
        began = time.perf_counter()
        exec = await self._idle.exec(("python3", "-c", CODE))
        said = b""
        async with exec.start(detach=False) as stream:
            while (message := await stream.read_out()) is not None:
                said += message.data
        took = (time.perf_counter() - began) * 1000
        if said != b"1\n":
            raise NotMeasured(f"docker exec said {said[-300:]!r}")
        return took

    async def run(self) -> float:
        """`docker run --rm` of print(1)."""
        began = time.perf_counter()
        container = await self._made(("python3", "-c", CODE))
        stream = container.attach(stdout=True, stderr=True)
        said = b""
        async with stream:
            await container.start()
            while (message := await stream.read_out()) is not None:
                said += message.data
        await container.delete(force=True)
        took = (time.perf_counter() - began) * 1000
        if said != b"1\n":
            raise NotMeasured(f"docker run said {said[-300:]!r}")
        return took

    async def _made(self, command: Sequence[str]) -> "aiodocker.containers.DockerContainer":
        assert self._docker is not None
        host = {"NetworkMode": "none", "Runtime": "runc"}
        body = {"Image": self._engine.image, "Entrypoint": [], "Cmd": list(command), "HostConfig": host}
        return await self._docker.containers.create(body)

    async def close(self) -> None:
        """Remove the container."""
        if self._idle is not None:
            await self._idle.delete(force=True)
        if self._docker is not None:
            await self._docker.close()
