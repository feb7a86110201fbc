"""The sandbox `gvisor`: rooms that are containers of runsc."""

import asyncio
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agenthost.core.errors import Unavailable
from agenthost.core.sandboxes import MIB, Availability, Isolation, SandboxPolicy
from agenthost.sandboxes.attached.child import Child
from agenthost.sandboxes.attached.pool import Size
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.attached.sandbox import Rooms
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.gvisor import bundle, diagnose
from agenthost.sandboxes.gvisor.cores import Cores
from agenthost.sandboxes.gvisor.keeper import Keeper
from agenthost.sandboxes.layers import Layers, layer_key, normal
from agenthost.sandboxes.outer import CERTIFICATES
from agenthost.sandboxes.runtime import places

_LEAST_ROOM = 1024 * MIB
# gVisor counts a run's processes two above what the limit says: it lets one more begin, and the first isn't counted.
_UNCOUNTED = 2


class Containers:
    """The port `attached.sandbox.Maker` by runsc.

    `cache` keeps the runtime, the package layers and, while the host lives, what runsc needs; every run's workspace
    lies under `workspaces`. `runsc` is the command's name or path, `rootfs` a root file system in place of the machine's.
    """

    name = "gvisor"
    isolation: Isolation = "kernel"
    processes = 2
    certificates = CERTIFICATES

    def __init__(self, cache: Path, workspaces: Path, runsc: str, platform: str, rootfs: str) -> None:
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
        self._cores: Cores | None = None
        self._root: Path | None = None
        self._mounts: list[dict[str, Any]] = []
        self._opening = asyncio.Lock()
        self._names = itertools.count(1)
        self._closed = False

    def usual(self) -> Size:
        return _size(SandboxPolicy())

    async def missing(self) -> Availability | None:
        return await asyncio.to_thread(diagnose.before, self._runsc)

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> Size:
        """Install the packages as a layer. Raises Unavailable, and Permanent (`packages`)."""
        if policy.image:
            raise Unavailable("The sandbox gvisor has no images. Leave image out, or demand another sandbox.")
        await self._layers.have(policy.packages, tell)
        return _size(policy)

    async def make(self, size: Size) -> Room:
        """A container with our process in it. Raises Unavailable."""
        keeper = await self._open()
        name = f"room-{next(self._names)}"
        await asyncio.to_thread(self._lay_out, keeper.folder / name, size)
        words = [self._runsc, *self._flags, "--root", str(keeper.state), "run", "--bundle", str(keeper.folder / name)]
        assert self._cores is not None
        setpriv = shutil.which("setpriv")  # the kernel ends it with its host, where it can be asked to
        path = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
        try:
            share = await asyncio.to_thread(self._cores.share, name, size.cpu)
            guard = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
            child = await Child.begin([*share.words, *guard, *words, name], path)
        except OSError as problem:
            raise Unavailable(f"There is no sandbox here: {problem}") from problem

        async def end() -> str:
            await child.end()
            await asyncio.to_thread(share.end)
            await asyncio.to_thread(shutil.rmtree, keeper.folder / name, True)
            return ""

        room = Room(child, end, _UNCOUNTED)
        try:
            await room.start()
            await asyncio.to_thread(share.hold)
        except OSError as problem:
            await room.close()
            raise Unavailable(
                f"The container's cores can't be bounded: {problem}. Its cgroup may have gone."
            ) from problem
        except BaseException:
            await room.close()
            raise
        return room

    def why(self, said: str) -> Availability:
        return diagnose.after(said)

    @property
    def detail(self) -> str:
        return "gVisor, as root" if os.geteuid() == 0 else "gVisor, without root"

    async def close(self) -> None:
        """Remove what belongs to the containers."""
        self._closed = True
        async with self._opening:
            if self._keeper is not None:
                await asyncio.to_thread(self._keeper.close)
                self._keeper = None

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
                self._cores = await asyncio.to_thread(Cores, keeper.folder.name)
                self._keeper = keeper
            return self._keeper

    def _lay_out(self, folder: Path, size: Size) -> None:
        assert self._root is not None
        folder.mkdir()
        layer = layer_key(size.packages)
        mounts = [*self._mounts, *bundle.layer_mounts(self._cache / "layers" / layer if layer else None)]
        (folder / "config.json").write_bytes(
            bundle.config(self._root, mounts, size.disk, *(["python3"] if self._rootfs else []))
        )


def _size(policy: SandboxPolicy) -> Size:
    """The container itself bounds its cores and file systems alone, these above what is watched for, so that the
    watch says `disk`."""
    disk = max(_LEAST_ROOM, 1 << (2 * policy.disk - 1).bit_length())
    return Size(0, policy.cpu, 0, disk, packages=normal(policy.packages))


class Gvisor(Rooms):
    """The sandbox. `cache`, `workspaces`, `runsc` and `rootfs` as for `Containers`; `way` is how runs with hosts
    granted get out."""

    def __init__(
        self,
        cache: Path,
        workspaces: Path,
        runsc: str = "runsc",
        platform: str = "systrap",
        rootfs: str = "",
        way: Way | None = None,
    ) -> None:
        super().__init__(Containers(cache, workspaces, runsc, platform, rootfs), workspaces, way)
