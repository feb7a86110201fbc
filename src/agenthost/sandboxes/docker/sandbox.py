"""The sandbox `docker`: the port, over rooms that are containers."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from agenthost.core.errors import AgentHostError, BadInput, Unavailable
from agenthost.core.ports import Connection, SandboxService, silent
from agenthost.core.sandboxes import MIB, Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.attached.pool import Pool, PoolSettings, size_of
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.docker.engine import Engine
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.sandboxes.layers import normal

_KERNELS = ("runsc",)
_LEAST_MEMORY = 32 * MIB


class Docker:
    """The port `core.ports.Sandbox` by the Docker API. Every run's workspace lies under `workspaces`; `home` is
    the home's id, which its containers are labelled with. Use it from one loop."""

    def __init__(self, settings: DockerSettings, workspaces: Path, home: str) -> None:
        self._settings = settings
        self._workspaces = workspaces
        self._engine = Engine(settings.host, settings.image, home, settings.runtime)
        usual = size_of(SandboxPolicy())
        self._pool = Pool(self._engine.room, PoolSettings(usual, settings.warm, settings.idle, settings.most))

    @property
    def name(self) -> str:
        return "docker"

    @property
    def isolation(self) -> Isolation:
        return "kernel" if self._settings.runtime in _KERNELS else "process"

    async def available(self) -> Availability:
        """Really runs `python3` in a container of the default image."""
        try:
            room = await self._pool.fresh(size_of(SandboxPolicy()))
        except AgentHostError as problem:
            return Availability(False, problem.message, "see docs/sandbox.md, 'Docker'")
        probe = self._workspaces / f".probe-{os.getpid()}-{id(self)}"
        await asyncio.to_thread(probe.mkdir, parents=True, exist_ok=True)
        try:
            done = await room.run(SandboxRun(("python3", "-c", "print(1)"), str(probe), SandboxPolicy(timeout=20)))
        except AgentHostError as problem:
            return Availability(False, problem.message, "see docs/sandbox.md, 'Docker'")
        finally:
            await room.close()
            await asyncio.to_thread(probe.rmdir)
        if done.stdout != b"1\n":
            return Availability(False, f"python3 fails in a container: {done.stderr[-400:]!r}", "see docs/sandbox.md")
        return Availability(True, f"docker, image {self._settings.image}")

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Raises BadInput, and Unavailable where the image isn't there."""
        _check_policy(policy, self.isolation)
        await self._engine.image(policy.image or self._settings.image)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Raises Unavailable, BadInput and Temporary (`sandbox`: the container died under it)."""
        run = await self._checked(run)
        size = size_of(run.policy)
        room = await self._pool.take(run.workspace, size)
        try:
            return await room.run(run)
        finally:
            self._pool.give_back(run.workspace, size)

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """A service has a container of its own; what it wrote to the workspace comes when it has ended."""
        run = await self._checked(run)
        return Service(await self._pool.fresh(size_of(run.policy)), run, self._pool.refill)

    async def _checked(self, run: SandboxRun) -> SandboxRun:
        _check(run, self.isolation)
        folder = await asyncio.to_thread(self._folder, run.workspace)
        return msgspec.structs.replace(run, workspace=folder)

    def _folder(self, workspace: str) -> str:
        root, folder = self._workspaces.resolve(), Path(workspace).resolve()
        if root not in folder.parents:
            raise BadInput(f"The workspace {workspace} does not lie under {root}. Give a folder there.")
        if not folder.is_dir():
            raise BadInput(f"The workspace {workspace} is no folder. Make it first.")
        return str(folder)

    async def release(self, workspace: str) -> None:
        """Destroy the workspace's containers."""
        await self._pool.release(str(await asyncio.to_thread(Path(workspace).resolve)))

    async def close(self) -> None:
        """Destroy every container."""
        await self._pool.close()
        await self._engine.close()


class Service:
    """The port `core.ports.SandboxService` over a room of its own."""

    def __init__(self, room: Room, run: SandboxRun, over: Callable[[], None]) -> None:
        self._room = room
        self._over = over
        self._task = asyncio.get_running_loop().create_task(self._serve(run))

    async def _serve(self, run: SandboxRun) -> SandboxOutcome:
        try:
            return await self._room.run(run)
        finally:
            await self._room.close()
            self._over()

    async def connect(self, port: int) -> Connection:
        return await self._room.connect(port)

    async def wait(self) -> SandboxOutcome:
        return await asyncio.shield(self._task)

    async def stop(self) -> SandboxOutcome:
        self._room.kill()
        return await self.wait()


def _check(run: SandboxRun, isolation: Isolation) -> None:
    if not run.argv or not run.argv[0]:
        raise BadInput("A run needs a command. Give argv at least one word.")
    if any("\0" in word for word in (*run.argv, run.cwd, *(part for pair in run.env for part in pair))):
        raise BadInput("A run's words can't have a zero byte. Take it out of argv, env or cwd.")
    if any(not name or "=" in name for name, _ in run.env):
        raise BadInput("An environment variable needs a name without '='.")
    if run.cwd.startswith("/") or ".." in run.cwd.split("/"):
        raise BadInput(f"The working directory '{run.cwd}' leaves the workspace. Give a path below it.")
    _check_policy(run.policy, isolation)


def _check_policy(policy: SandboxPolicy, isolation: Isolation) -> None:
    normal(policy.packages)
    if policy.hosts:
        raise Unavailable("The sandbox docker can't grant a network yet. Set network: none.")
    if policy.packages:
        raise Unavailable("The sandbox docker has no packages yet. Use an image that has them.")
    if policy.isolation == "kernel" and isolation != "kernel":
        raise Unavailable('This Docker has no kernel of its own for a run. Set runtime = "runsc" in [sandbox.docker].')
    if policy.memory < _LEAST_MEMORY or policy.processes < 1 or policy.disk < MIB:
        raise BadInput("A run needs at least 32 MiB of memory, 1 MiB of disk and 1 process.")
    if not (policy.timeout > 0 and policy.cpu > 0 and policy.output >= 0):
        raise BadInput("A run's timeout and cpu must be above 0, its output 0 or more.")
