"""The sandbox `bubblewrap`: each run in namespaces of its own, forked from a launcher that waits inside bwrap."""

import asyncio
import math
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agenthost.core.errors import Temporary, Unavailable
from agenthost.core.ports import SandboxService, silent
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes import diagnose
from agenthost.sandboxes.checks import check_run, place
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.layers import Layers, normal
from agenthost.sandboxes.outer import CERTIFICATES, ENVIRONMENT, certificates, command
from agenthost.sandboxes.runtime import places
from agenthost.sandboxes.station import NotStarted, Station, sockets
from agenthost.sandboxes.visit import Service, Visit

# As root, a workspace's code runs as a user of its own out of this range, far above accounts and containers.
_FIRST_USER, _USERS, _NOBODY = 1_900_000_000, 65_536, 65_534


class Bubblewrap:
    """The port `core.ports.Sandbox` by bubblewrap. Use it from one loop.

    `cache` keeps the runtime and the package layers; every run's workspace lies under `workspaces`.
    `bwrap` is the command's name or path. `way` is how runs that have hosts granted get out.
    """

    def __init__(self, cache: Path, workspaces: Path, bwrap: str = "bwrap", way: Way | None = None) -> None:
        self._cache = cache
        self._workspaces = workspaces
        self._bwrap = bwrap
        self._way = way or Way()
        self._layers = Layers(cache / "layers")
        self._starting = asyncio.Lock()
        self._station: Station | None = None
        self._root = os.geteuid() == 0
        self._turn = 0
        self._trusts = False
        self._services: set[Service] = set()
        self._closed = False

    @property
    def name(self) -> str:
        return "bubblewrap"

    async def available(self) -> Availability:
        """Really starts the sandbox and runs `python` and `sh` in it, with the policy's defaults."""
        if (missing := await asyncio.to_thread(diagnose.before, self._bwrap)) is not None:
            return missing
        try:
            await self._launcher()
        except NotStarted as problem:
            return await asyncio.to_thread(diagnose.after, str(problem))
        return await self._try()

    async def _try(self) -> Availability:
        probe = self._workspaces / f".probe-{os.getpid()}-{id(self)}"
        await asyncio.to_thread(probe.mkdir, exist_ok=True)
        try:
            for argv in (("python", "-c", "print(1)"), ("sh", "-c", "exec python -c 'print(1)'")):
                outcome = await self.run(SandboxRun(argv, str(probe), SandboxPolicy(timeout=20)))
                if outcome.stdout != b"1\n":
                    said = (
                        outcome.stderr.decode("utf-8", "replace")[-400:]
                        or f"exit code {outcome.exit_code} {outcome.limit}"
                    )
                    return Availability(False, f"{' '.join(argv)} fails in the sandbox: {said}", "see docs/sandbox.md")
        except Temporary as problem:
            return await asyncio.to_thread(diagnose.after, problem.message)
        finally:
            await asyncio.to_thread(shutil.rmtree, probe, ignore_errors=True)
        return Availability(True, "bubblewrap, as a user of its own" if self._root else "bubblewrap, as this user")

    @property
    def isolation(self) -> Isolation:
        return "process"

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Install the packages as a layer. Raises BadInput, Unavailable, and Permanent (`packages`)."""
        await self._layers.have(policy.packages, tell)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Run to the end. Raises Unavailable, BadInput (a request that can't be run), and Temporary
        (`sandbox`: the launcher died under it)."""
        visit, request = await self._visit(run, tell, False)
        return await visit.outcome(request)

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Start a run that goes on until it is stopped, or the policy's timeout. Raises as `run` does."""
        visit, request = await self._visit(run, tell, True)
        service = await Service.begin(visit, request, self._services.discard)
        self._services.add(service)
        return service

    async def _visit(self, run: SandboxRun, tell: Callable[[str], None], service: bool) -> tuple[Visit, dict[str, Any]]:
        """A run with its request, not yet asked for."""
        _check(run)
        egress = Egress(run.policy.hosts, self._way, tell) if run.policy.hosts else None
        seen = await asyncio.to_thread(self._look, run.workspace)
        try:
            station = await self._launcher()
        except NotStarted as problem:
            told = await asyncio.to_thread(self._why, str(problem))
            raise Unavailable(f"There is no sandbox here: {told.detail}. To mend it: {told.fix}") from problem
        layer = await self._layers.have(run.policy.packages, tell)
        self._turn += 1
        asked = _request(run, layer, self._turn, self._root) | seen | _network(egress, run, service, self._trusts)
        return Visit(station, run, egress), asked

    async def release(self, workspace: str) -> None:
        """Nothing is kept for a workspace."""

    async def close(self) -> None:
        """End the launcher and every run."""
        self._closed = True
        for service in tuple(self._services):
            await service.end()
        async with self._starting:
            if self._station is not None:
                await self._station.close()
                self._station = None

    def _why(self, said: str) -> Availability:
        return diagnose.before(self._bwrap) or diagnose.after(said)

    async def _launcher(self) -> Station:
        async with self._starting:
            if self._closed:
                raise Unavailable("This sandbox is closed.")
            if self._station is not None and not self._station.alive:
                await self._station.close()
                self._station = None
            if self._station is None:
                self._station = await self._start()
            return self._station

    async def _start(self) -> Station:
        if (missing := await asyncio.to_thread(diagnose.before, self._bwrap)) is not None:
            raise NotStarted(missing.detail)
        found = await places(self._cache, self._workspaces)
        bwrap = await asyncio.to_thread(shutil.which, self._bwrap)
        self._trusts = await asyncio.to_thread(certificates) is not None
        near, far = sockets()
        try:
            words = await asyncio.to_thread(command, bwrap or self._bwrap, found, far.fileno(), self._root)
        except BaseException:
            near.close()
            far.close()
            raise
        return await Station.start(words, near, far)

    def _look(self, workspace: str) -> dict[str, Any]:
        """Of a request what the disk says: the workspace's place, its inode, and whose it shall be."""
        folder = place(self._workspaces, workspace)
        inode = os.lstat(folder).st_ino
        relative = str(folder.relative_to(self._workspaces.resolve()))
        return {"workspace": relative, "inode": inode, "owner": _owner(inode) if self._root else None}


def _owner(inode: int) -> int:
    """The user that a workspace's code runs as: the same each time, so that files needn't change hands."""
    wanted = _FIRST_USER + inode % _USERS
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, count = (int(word) for word in line.split())
        if inside <= wanted < inside + count:
            return wanted
    return _NOBODY


def _check(run: SandboxRun) -> None:
    check_run(run)
    if run.policy.isolation != "process" or run.policy.image:
        raise Unavailable(
            "The sandbox bubblewrap has neither images nor a kernel of its own. Demand neither, or set another."
        )
    normal(run.policy.packages)


def _request(run: SandboxRun, layer: str, turn: int, root: bool) -> dict[str, Any]:
    policy = run.policy
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return {
        "argv": run.argv,
        "cwd": run.cwd,
        "layer": layer,
        "turn": turn,
        "memory": policy.memory,
        "disk": policy.disk,
        "processes": policy.processes,
        "cpu": policy.cpu,
        "cpu_seconds": math.ceil(policy.timeout * math.ceil(policy.cpu)) + 1,
        # Since Linux 5.14 processes are counted per user namespace; before, a user's are counted everywhere.
        "counted": root or release >= (5, 14),
    }


def _network(egress: Egress | None, run: SandboxRun, service: bool, trusts: bool) -> dict[str, Any]:
    """Of a request what it says of the network: ports to listen on, the environment with the way out."""
    env = {**ENVIRONMENT, "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    if egress is not None:
        trusted = {"SSL_CERT_FILE": CERTIFICATES} if trusts else {}
        env |= egress.env | trusted
    return {"ports": egress.ports if egress else (), "service": service, "env": env | dict(run.env)}
