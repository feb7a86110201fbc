"""The sandbox `gvisor`: a container of runsc for each workspace, and one that waits."""

import asyncio
import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput, Temporary, Unavailable
from agenthost.core.ports import SandboxService, silent
from agenthost.core.sandboxes import MIB, Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.attached.child import Child
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.gvisor import bundle, diagnose
from agenthost.sandboxes.gvisor.keeper import Keeper
from agenthost.sandboxes.layers import Layers, normal
from agenthost.sandboxes.runtime import places

# Containers that nobody is using, kept for their workspaces; the longest unused goes first.
_IDLE = 8
_LEAST_ROOM = 1024 * MIB
_LEAST_MEMORY, _LEAST_PROCESSES = 32 * MIB, 2
# gVisor counts a run's processes two above what the limit says: it lets one more begin, and the first isn't counted.
_UNCOUNTED = 2


class _Kept(Struct):
    """A container, and whose it is: the workspace's folder, or nobody's yet."""

    room: Room
    kind: tuple[str, int]
    workspace: str = ""
    busy: bool = False
    starting: asyncio.Task[None] | None = None


class Gvisor:
    """The port `core.ports.Sandbox` by runsc. Use it from one loop.

    `cache` keeps the runtime, the package layers and, while the host lives, what runsc needs; every run's workspace
    lies under `workspaces`. `runsc` is the command's name or path, `rootfs` a root file system in place of the machine's.
    """

    def __init__(
        self, cache: Path, workspaces: Path, runsc: str = "runsc", platform: str = "systrap", rootfs: str = ""
    ) -> None:
        self._cache = cache
        self._workspaces = workspaces
        self._runsc = runsc
        self._rootfs = rootfs
        # Ends of the sentry's own kind: no network but loopback, no overlay file on the host's disk, nobody else
        # changes the read-only system while it is in use. Memory is watched from inside, as where there are no cgroups.
        flags = [f"--platform={platform}", "--network=none", "--overlay2=none", "--file-access-mounts=exclusive"]
        self._flags = [*flags, "--ignore-cgroups", *([] if os.geteuid() == 0 else ["--rootless"])]
        self._layers = Layers(cache / "layers")
        self._keeper: Keeper | None = None
        self._root: Path | None = None
        self._mounts: list[dict[str, Any]] = []
        self._opening = asyncio.Lock()
        self._names = itertools.count(1)
        self._rooms: dict[str, _Kept] = {}
        self._spare: _Kept | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return "gvisor"

    @property
    def isolation(self) -> Isolation:
        return "kernel"

    async def available(self) -> Availability:
        """Really starts a container and runs `print(1)` in it, with the policy's defaults."""
        if (missing := await asyncio.to_thread(diagnose.before, self._runsc)) is not None:
            return missing
        probe = self._workspaces / f".probe-{os.getpid()}-{id(self)}"
        await asyncio.to_thread(probe.mkdir, parents=True, exist_ok=True)
        try:
            outcome = await self.run(SandboxRun(("python", "-c", "print(1)"), str(probe), SandboxPolicy(timeout=20)))
        except (Temporary, Unavailable, BadInput) as problem:
            return await asyncio.to_thread(diagnose.after, problem.message)
        finally:
            await self.release(str(probe))
            await asyncio.to_thread(shutil.rmtree, probe, ignore_errors=True)
        if outcome.stdout != b"1\n":
            said = outcome.stderr.decode("utf-8", "replace")[-400:] or f"exit code {outcome.exit_code} {outcome.limit}"
            return Availability(False, f"print(1) fails in the sandbox: {said}", "see docs/sandbox.md")
        return Availability(True, "gVisor, as root" if os.geteuid() == 0 else "gVisor, without root")

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Install the packages as a layer. Raises BadInput, Unavailable, and Permanent (`packages`)."""
        await self._layers.have(policy.packages, tell)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Run to the end. Raises Unavailable, BadInput (a request that can't be run), and Temporary (`sandbox`)."""
        _check(run)
        folder = await asyncio.to_thread(self._place, run.workspace)
        layer = await self._layers.have(run.policy.packages, tell)
        kept = await self._take(str(folder), (layer, _size(run.policy.disk)))
        try:
            await self._greeted(kept)
            return await kept.room.run(msgspec.structs.replace(run, workspace=str(folder)))
        finally:
            kept.busy = False
            await self._thin_out()

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Raises Unavailable: this sandbox serves no ports yet."""
        raise Unavailable("The sandbox gvisor serves no ports yet.")

    async def release(self, workspace: str) -> None:
        """End the containers of a workspace."""
        folder = str(Path(workspace).resolve())  # noqa: ASYNC240 - a name, no content
        await self._let_go([kept for kept in self._rooms.values() if kept.workspace == folder and not kept.busy])

    async def close(self) -> None:
        """End every container and remove what belongs to them."""
        self._closed = True
        await self._let_go(list(self._rooms.values()))
        async with self._opening:
            if self._keeper is not None:
                await asyncio.to_thread(self._keeper.close)
                self._keeper = None

    # --- rooms -------------------------------------------------------------------------------

    async def _take(self, workspace: str, kind: tuple[str, int]) -> _Kept:
        """A room for a workspace: its own, the one that waits, or a new one. Then another is made to wait."""
        for kept in self._rooms.values():
            if kept.workspace == workspace and kept.kind == kind and kept.room.alive and not kept.busy:
                kept.busy = True
                return kept
        waiting, self._spare = self._spare, None
        if waiting is not None and (waiting.kind != kind or not waiting.room.alive):
            await self._let_go([waiting])
            waiting = None
        kept = waiting or await self._begin(kind)
        kept.workspace, kept.busy = workspace, True
        return kept

    async def _greeted(self, kept: _Kept) -> None:
        """Wait until our process is in it, and have the next one begin meanwhile."""
        if kept.starting is not None:
            await asyncio.shield(kept.starting)
        if self._spare is None and not self._closed:
            self._spare = await self._begin(kept.kind)

    async def _begin(self, kind: tuple[str, int]) -> _Kept:
        """Start runsc; what it starts needn't be waited for."""
        keeper = await self._open()
        name = f"room-{next(self._names)}"
        layer, size = kind
        await asyncio.to_thread(self._lay_out, keeper.folder / name, layer, size)
        words = [self._runsc, *self._flags, "--root", str(keeper.state), "run", "--bundle", str(keeper.folder / name)]
        setpriv = shutil.which("setpriv")  # the kernel ends it with its host, where it can be asked to
        path = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
        try:
            child = await Child.begin([*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *words, name], path)
        except OSError as problem:
            raise Unavailable(f"There is no sandbox here: {problem}") from problem

        async def end() -> str:
            await child.end()
            self._rooms.pop(name, None)
            await asyncio.to_thread(shutil.rmtree, keeper.folder / name, True)
            return ""

        room = Room(child, end, _UNCOUNTED)
        kept = self._rooms[name] = _Kept(room, kind)
        # ours to hold: whoever takes the room waits for it, and so does whoever lets it go
        kept.starting = asyncio.get_running_loop().create_task(room.start(), name=f"gvisor {name}")
        return kept

    async def _let_go(self, those: Sequence[_Kept]) -> None:
        await asyncio.gather(*(kept.room.close() for kept in those))
        if starting := [kept.starting for kept in those if kept.starting is not None]:
            await asyncio.gather(*starting, return_exceptions=True)

    async def _thin_out(self) -> None:
        idle = [kept for kept in self._rooms.values() if not kept.busy and kept is not self._spare]
        alive = [kept for kept in idle if kept.room.alive]
        await self._let_go([kept for kept in idle if not kept.room.alive] + alive[:-_IDLE])

    async def _open(self) -> Keeper:
        async with self._opening:
            if self._closed:
                raise Unavailable("This sandbox is closed.")
            if self._keeper is None:
                if (missing := await asyncio.to_thread(diagnose.before, self._runsc)) is not None:
                    raise Unavailable(f"There is no sandbox here: {missing.detail}. To mend it: {missing.fix}")
                keeper = Keeper(self._cache / "gvisor", [self._runsc, *self._flags])
                found = await places(self._cache, self._workspaces)
                await asyncio.to_thread(keeper.open)
                self._root = keeper.folder / "rootfs"
                await asyncio.to_thread(bundle.lay_out_root, self._root, found, self._rootfs)
                self._mounts = bundle.image_mounts(self._rootfs) if self._rootfs else bundle.system_mounts(found)
                self._keeper = keeper
            return self._keeper

    def _lay_out(self, folder: Path, layer: str, size: int) -> None:
        assert self._root is not None
        folder.mkdir()
        mounts = [*self._mounts, *bundle.layer_mounts(self._cache / "layers" / layer if layer else None)]
        (folder / "config.json").write_bytes(
            bundle.config(self._root, mounts, size, *(["python3"] if self._rootfs else []))
        )

    def _place(self, workspace: str) -> Path:
        """The workspace's folder, links resolved."""
        root = self._workspaces.resolve()
        folder = Path(workspace).resolve()
        if root not in folder.parents:
            raise BadInput(f"The workspace {workspace} does not lie under {root}. Give a folder there.")
        if not folder.is_dir():
            raise BadInput(f"The workspace {workspace} is no folder. Make it first.")
        return folder


def _size(disk: int) -> int:
    """How large a container's own file systems are: above what is watched for, so that the watch says `disk`."""
    return max(_LEAST_ROOM, 1 << (2 * disk - 1).bit_length())


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
    if policy.hosts or policy.image:
        raise Unavailable("The sandbox gvisor grants no network and has no images. Set network: none, and no image.")
    if policy.memory < _LEAST_MEMORY or policy.processes < _LEAST_PROCESSES or policy.disk < MIB:
        raise BadInput("A run needs at least 32 MiB of memory, 1 MiB of disk and 2 processes.")
    if not (policy.timeout > 0 and policy.cpu > 0 and policy.output >= 0):
        raise BadInput("A run's timeout and cpu must be above 0, its output 0 or more.")
    normal(policy.packages)
