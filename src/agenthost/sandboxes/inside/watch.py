"""What a whole run uses of memory and disk, seen by its own pid 1.

Memory is anonymous memory (shared pages counted once), shared memory without a name, and /tmp.
Disk is what the workspace has grown by, files that are deleted but still held, and /tmp. /dev/shm counts as /tmp.
Where there is a kernel's own count of what it ended for want of memory (a container's cgroup), that is looked at too.
"""

from __future__ import annotations

import os
import stat

PAGE = os.sysconf("SC_PAGE_SIZE")
WORKSPACE = "/workspace"
SCRATCH = ("/tmp", "/dev/shm")
# cgroup v2 and v1 (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst in Linux)
CGROUPS = "/sys/fs/cgroup"
_OOM = (f"{CGROUPS}/memory.events", f"{CGROUPS}/memory/memory.oom_control")
# Where the workspace's disk is nearly full, a run that could have filled it is ended.
RESERVE = 512 * 1024 * 1024


def in_gvisor() -> bool:
    """Whether this is gVisor's kernel, which alone has that file."""
    return os.path.exists("/proc/sentry-meminfo")


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def _statm(pid: str) -> tuple[int, int]:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            size, resident = file.read().split()[:2]
    except OSError:
        return 0, 0
    return int(size) * PAGE, int(resident) * PAGE


def _anonymous(pid: str, resident: int) -> int:
    """Anonymous memory of one process in bytes, its share of what it shares; all that is resident where it hides that."""
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith((b"Pss_Anon:", b"Swap:")):
                    total += int(line.split()[1]) * 1024
    except FileNotFoundError:
        # it ended, or this kernel doesn't tell (gVisor)
        return resident if os.path.exists(f"/proc/{pid}") else 0
    except PermissionError:
        return resident
    except OSError:
        pass
    return total


def _ended_for_memory() -> int:
    """How many processes the kernel has ended because the container had no memory left."""
    for path in _OOM:
        try:
            with open(path, "rb") as file:
                for line in file:
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0


def _deleted_maps(pid: str, found: dict[tuple[str, str], int]) -> None:
    """Mapped objects without a name: (device, inode) to bytes mapped."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            for line in file:
                if line.endswith(b" (deleted)\n"):
                    span, _, _, device, inode = line.split()[:5]
                    begin, end = span.split(b"-")
                    key = (device.decode(), inode.decode())
                    found[key] = max(found.get(key, 0), int(end, 16) - int(begin, 16))
    except OSError:
        pass


def _devices(folders: tuple[str, ...]) -> list[str]:
    """One folder for each file system that they are on."""
    found: dict[int, str] = {}
    for folder in folders:
        if os.path.isdir(folder):
            found.setdefault(os.stat(folder).st_dev, folder)
    return list(found.values())


def _sentry() -> int:
    """Bytes of memory and of files in memory that the whole container has, by gVisor's own count. It knows no
    share of a page that processes have together, so that adding them up would count it for each."""
    total = 0
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith((b"AnonPages:", b"Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


class Watch:
    """Begun before the run's first process; `over` names the limit that is exceeded, or nothing."""

    def __init__(self, memory: int, disk: int, processes: int | None) -> None:
        self.memory = memory
        self.disk = disk
        self.processes = processes
        status = os.stat(WORKSPACE)
        self._device = status.st_dev
        self._device_name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        self._scratches = _devices(SCRATCH)
        self._free = self._room()
        self._before = self._walk(None)
        self._ended = _ended_for_memory()
        self._sentry = _sentry() if in_gvisor() else None
        self._taken_before = self._taken()

    def _taken(self) -> int:
        """What the workspace holds of memory, where it is there and not on a disk."""
        status = os.statvfs(WORKSPACE)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def over(self) -> str:
        """`memory`, `disk`, `processes`, or an empty text."""
        pids = _processes()
        if self.processes is not None and len(pids) > self.processes:
            return "processes"
        scratch = self._scratch()
        if self._memory(pids, scratch) > self.memory or self.over_memory():
            return "memory"
        return "disk" if self._disk(pids, scratch) else ""

    def over_memory(self) -> bool:
        """Whether the kernel had to end something of the run for want of memory."""
        return _ended_for_memory() > self._ended

    def over_disk(self) -> bool:
        """The disk alone: for a run that has ended by itself."""
        return self._disk([], self._scratch())

    def _scratch(self) -> int:
        total = 0
        for path in self._scratches:
            status = os.statvfs(path)
            total += (status.f_blocks - status.f_bfree) * status.f_frsize
        return total

    def _room(self) -> int:
        status = os.statvfs(WORKSPACE)
        return status.f_bavail * status.f_frsize

    def _memory(self, pids: list[str], scratch: int) -> int:
        if self._sentry is not None:
            return _sentry() - self._sentry - self._taken() + self._taken_before
        sizes = [_statm(pid) for pid in pids]
        if sum(size for size, _ in sizes) + scratch <= self.memory:
            return 0  # even everything that is mapped fits
        total = sum(_anonymous(pid, sizes[at][1]) for at, pid in enumerate(pids)) + scratch
        if total > self.memory:
            return total
        found: dict[tuple[str, str], int] = {}
        for pid in pids:
            _deleted_maps(pid, found)
        return total + sum(size for (device, _), size in found.items() if device != self._device_name)

    def _disk(self, pids: list[str], scratch: int) -> bool:
        most = self.disk - scratch
        if self._walk(self._before + most) - self._before > most:
            return True
        if pids and self._held(pids) > most:
            return True
        room = self._room()
        return room < RESERVE and self._free - room > most

    def _walk(self, enough: int | None) -> int:
        """Bytes on disk under the workspace, an entry counted as at least a block; `enough` ends it early."""
        total = 0
        seen: set[int] = set()
        todo = [WORKSPACE]
        while todo:
            folder = todo.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        try:
                            status = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue  # what is removed meanwhile hides nothing of what is beside it
                        if stat.S_ISDIR(status.st_mode):
                            todo.append(entry.path)
                        elif status.st_nlink > 1:
                            if status.st_ino in seen:
                                continue
                            seen.add(status.st_ino)
                        total += max(status.st_blocks * 512, 4096)
                        if enough is not None and total > enough:
                            return total
            except FileNotFoundError:
                continue
            except OSError:
                # Too deep to be looked at, so that nothing can hide there.
                return total if enough is None else enough + 1
        return total

    def _held(self, pids: list[str]) -> int:
        """Bytes of the workspace's disk in files that have no name any more."""
        files: dict[int, int] = {}
        maps: dict[tuple[str, str], int] = {}
        for pid in pids:
            try:
                names = os.listdir(f"/proc/{pid}/fd")
            except OSError:
                continue
            for name in names:
                try:
                    status = os.stat(f"/proc/{pid}/fd/{name}")
                except OSError:
                    continue
                if status.st_nlink == 0 and status.st_dev == self._device and stat.S_ISREG(status.st_mode):
                    files[status.st_ino] = status.st_blocks * 512
            _deleted_maps(pid, maps)
        for (device, inode), size in maps.items():
            if device == self._device_name and int(inode) not in files:
                files[int(inode)] = size
        return sum(files.values())
