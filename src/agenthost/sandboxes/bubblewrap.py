"""The sandbox `bubblewrap`: each run in namespaces of its own, forked from a launcher that waits inside bwrap."""

import asyncio
import math
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agenthost.core.errors import BadInput, Temporary, Unavailable
from agenthost.core.ports import SandboxService, silent
from agenthost.core.sandboxes import MIB, Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes import diagnose
from agenthost.sandboxes.layers import Layers, normal
from agenthost.sandboxes.outer import ENVIRONMENT, command
from agenthost.sandboxes.runtime import places
from agenthost.sandboxes.station import NotStarted, Station, pipe, sockets
from agenthost.sandboxes.streams import Collector, Feeder

# As root, a workspace's code runs as a user of its own out of this range, far above accounts and containers.
_FIRST_USER, _USERS, _NOBODY = 1_900_000_000, 65_536, 65_534
_KILLED = 137
_LEAST_MEMORY, _LEAST_PROCESSES = 32 * MIB, 1


class Bubblewrap:
    """The port `core.ports.Sandbox` by bubblewrap. Use it from one loop.

    `cache` keeps the runtime and the package layers; every run's workspace lies under `workspaces`.
    `bwrap` is the command's name or path.
    """

    def __init__(self, cache: Path, workspaces: Path, bwrap: str = "bwrap") -> None:
        self._cache = cache
        self._workspaces = workspaces
        self._bwrap = bwrap
        self._layers = Layers(cache / "layers")
        self._starting = asyncio.Lock()
        self._station: Station | None = None
        self._root = os.geteuid() == 0
        self._turn = 0
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
        _check(run)
        seen = await asyncio.to_thread(self._look, run.workspace)
        try:
            station = await self._launcher()
        except NotStarted as problem:
            told = await asyncio.to_thread(self._why, str(problem))
            raise Unavailable(f"There is no sandbox here: {told.detail}. To mend it: {told.fix}") from problem
        layer = await self._layers.have(run.policy.packages, tell)
        self._turn += 1
        request = _request(run, layer, self._turn, self._root) | seen
        return await _Visit(station, run).outcome(request)

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Raises Unavailable: this sandbox serves no ports yet."""
        raise Unavailable("The sandbox bubblewrap serves no ports yet.")

    async def release(self, workspace: str) -> None:
        """Nothing is kept for a workspace."""

    async def close(self) -> None:
        """End the launcher and every run."""
        self._closed = True
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
        near, far = sockets()
        words = await asyncio.to_thread(command, bwrap or self._bwrap, found, far.fileno(), self._root)
        return await Station.start(words, near, far)

    def _look(self, workspace: str) -> dict[str, Any]:
        """Of a request what the disk says: the workspace's place, its inode, and whose it shall be."""
        place = self._relative(workspace)
        inode = os.lstat(self._workspaces / place).st_ino
        return {"workspace": place, "inode": inode, "owner": _owner(inode) if self._root else None}

    def _relative(self, workspace: str) -> str:
        """The workspace's place under the workspaces, links resolved."""
        root = self._workspaces.resolve()
        folder = Path(workspace).resolve()
        if root not in folder.parents:
            raise BadInput(f"The workspace {workspace} does not lie under {root}. Give a folder there.")
        if not folder.is_dir():
            raise BadInput(f"The workspace {workspace} is no folder. Make it first.")
        return str(folder.relative_to(root))


def _owner(inode: int) -> int:
    """The user that a workspace's code runs as: the same each time, so that files needn't change hands."""
    wanted = _FIRST_USER + inode % _USERS
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, count = (int(word) for word in line.split())
        if inside <= wanted < inside + count:
            return wanted
    return _NOBODY


def _check(run: SandboxRun) -> None:
    policy = run.policy
    if not run.argv or not run.argv[0]:
        raise BadInput("A run needs a command. Give argv at least one word.")
    if any("\0" in word for word in (*run.argv, run.cwd, *(part for pair in run.env for part in pair))):
        raise BadInput("A run's words can't have a zero byte. Take it out of argv, env or cwd.")
    if any(not name or "=" in name for name, _ in run.env):
        raise BadInput("An environment variable needs a name without '='.")
    if run.cwd.startswith("/") or ".." in run.cwd.split("/"):
        raise BadInput(f"The working directory '{run.cwd}' leaves the workspace. Give a path below it.")
    if policy.hosts:
        raise Unavailable("The sandbox bubblewrap can't grant a network. Set network: none.")
    if policy.isolation != "process" or policy.image:
        raise Unavailable(
            "The sandbox bubblewrap has neither images nor a kernel of its own. Demand neither, or set another."
        )
    if policy.memory < _LEAST_MEMORY or policy.processes < _LEAST_PROCESSES or policy.disk < MIB:
        raise BadInput("A run needs at least 32 MiB of memory, 1 MiB of disk and 1 process.")
    if not (policy.timeout > 0 and policy.cpu > 0 and policy.output >= 0):
        raise BadInput("A run's timeout and cpu must be above 0, its output 0 or more.")
    normal(policy.packages)


def _request(run: SandboxRun, layer: str, turn: int, root: bool) -> dict[str, Any]:
    policy = run.policy
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    env = {**ENVIRONMENT, "PYTEST_ADDOPTS": "-p no:cacheprovider", **dict(run.env)}
    return {
        "argv": run.argv,
        "env": env,
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


class _Visit:
    """One run from its request to its outcome."""

    def __init__(self, station: Station, run: SandboxRun) -> None:
        self._station = station
        self._door = station.take()
        self._run = run
        self._limit = ""

    async def outcome(self, request: dict[str, Any]) -> SandboxOutcome:
        policy = self._run.policy
        out, out_far = pipe()
        err, err_far = pipe()
        feeder = None
        if self._run.stdin:
            in_far, end = os.pipe()
            feeder = Feeder(end, self._run.stdin)
        else:
            in_far = os.open(os.devnull, os.O_RDONLY)
        streams = [Collector(end, policy.output, self._too_much) for end in (out, err)]
        began = time.monotonic()
        try:
            try:
                await self._door.ask(request, (in_far, out_far, err_far))
            finally:
                for end in (in_far, out_far, err_far):
                    os.close(end)
            await self._gone(began)
            duration = time.monotonic() - began
            (stdout, cut_out), (stderr, cut_err) = (stream.finish() for stream in streams)
            return self._told(SandboxOutcome(0, stdout, stderr, duration, cut=cut_out + cut_err))
        finally:
            if not self._door.gone.done():
                await self._end_it()
            for stream in streams:
                stream.close()
            if feeder is not None:
                feeder.close()
            self._door.close()
            self._station.refill()

    async def _gone(self, began: float) -> None:
        left = began + self._run.policy.timeout - time.monotonic()
        done, _ = await asyncio.wait([self._door.gone], timeout=max(left, 0))
        if not done:
            self._limit = self._limit or "time"
            self._door.kill()
            await asyncio.wait([self._door.gone])

    async def _end_it(self) -> None:
        """Cancelled: kill the run and stay until nothing of it is left, however often we are cancelled."""
        self._door.kill()
        while not self._door.gone.done():
            try:
                await asyncio.wait([self._door.gone])
            except asyncio.CancelledError:
                continue

    def _too_much(self) -> None:
        self._limit = self._limit or "output"
        self._door.kill()

    def _told(self, seen: SandboxOutcome) -> SandboxOutcome:
        answer = self._door.answer()
        status = self._door.gone.result()
        if "error" in answer:
            trace: str = answer["error"].strip()
            raise Temporary(
                f"The sandbox could not be made for this run: {trace.splitlines()[-1]}", code="sandbox", trace=trace
            )
        limit: str = answer.get("limit") or self._limit
        code: int = answer.get("exit", _KILLED)
        if not answer and not limit:
            if status is None:
                raise Temporary("The sandbox's launcher ended during this run.", code="sandbox", sent=True)
            if status != 9:
                raise Temporary(f"The sandbox ended without an answer ({self._door.why or status}).", code="sandbox")
            limit = "memory"  # the kernel's own choice when the machine has none left
        if self._limit and "exit" in answer and not answer.get("limit"):
            limit = "" if self._limit == "time" else self._limit  # it ended by itself just before
        return SandboxOutcome(code, seen.stdout, seen.stderr, seen.duration, limit, seen.cut)
