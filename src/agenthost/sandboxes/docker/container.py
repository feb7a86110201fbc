"""What a container of a room is made with: everything denied that can be."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agenthost.core.sandboxes import MIB
from agenthost.sandboxes.attached.boot import START, START_AS_ROOT
from agenthost.sandboxes.attached.pool import Size
from agenthost.sandboxes.attached.room import ENVIRONMENT
from agenthost.sandboxes.docker import seccomp

USER = 60_321
"""Who everything in a container is: above accounts, and below the 65,536 that a user namespace commonly maps."""

HOME_LABEL = "agenthost.home"
OWNER_LABEL = "agenthost.owner"
"""The process that made a container, as `sandboxes.owners` tells it."""
MADE_LABEL = "agenthost.made"
"""Which engine of that process made it."""
BASE_LABEL = "agenthost.base"
"""Of an image with a folder /workspace: the id of the image that it was made from."""
OVERHEAD = 32 * MIB
"""Memory of a container beside its policy's: our own process, and the kernel's for its processes."""
KERNEL_OVERHEAD = 160 * MIB
"""The same where a kernel of its own (gVisor's) lives in the container's memory too."""
UNCOUNTED = 2
"""gVisor counts a run's processes two above what the limit says: it lets one more begin, and the first isn't counted."""

# gVisor lets nobody inside set the last four, so all are as `cage.limits` wants them from the beginning.
_LIMITS = {"core": 0, "nofile": 1024, "msgqueue": 64 * 1024, "sigpending": 1024, "nice": 0, "rtprio": 0}
_EMPTY = "ro,nosuid,nodev,noexec,size=4096,mode=0555"
_CPU = 1_000_000_000
_INODES = 4096

# What tells of the machine and its other users rather than of the container. Left to be seen, because ordinary
# programs of images want them: cpuinfo, filesystems, loadavg, meminfo, stat, uptime, version; the container's cgroup.
_MASKED_PROC = (
    "acpi", "asound", "bootconfig", "buddyinfo", "bus", "cgroups", "cmdline", "config.gz", "consoles", "crypto",
    "devices", "diskstats", "dma", "driver", "dynamic_debug", "execdomains", "fb", "fs", "interrupts", "iomem",
    "ioports", "irq", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags",
    "latency_stats", "locks", "mdstat", "misc", "modules", "mtrr", "pagetypeinfo", "partitions", "pressure",
    "sched_debug", "schedstat", "scsi", "slabinfo", "softirqs", "swaps", "sys", "sysvipc", "timer_list", "timer_stats",
    "tty", "vmallocinfo", "vmstat", "zoneinfo",
)  # fmt: skip
_MASKED_SYS = (
    "block", "bus", "class", "dev", "devices", "firmware", "hypervisor", "kernel", "module", "power",
    "fs/bcachefs", "fs/bpf", "fs/btrfs", "fs/erofs", "fs/ext4", "fs/f2fs", "fs/fuse", "fs/nfs", "fs/pstore", "fs/resctrl",
    "fs/selinux", "fs/smackfs", "fs/tmpfs", "fs/xfs",
)  # fmt: skip
MASKED = (*(f"/proc/{name}" for name in _MASKED_PROC), *(f"/sys/{name}" for name in _MASKED_SYS), "/dev/pts")
"""Paths that are empty in a container. No terminal can be had: none is needed, and their code had many holes."""
READ_ONLY = ("/proc",)
"""All of it, so that a run can't make itself the last to be ended when memory is short (oom_score_adj)."""


class Make(Struct, frozen=True):
    """What a container is made for. `image`: its id; `path`: the image's PATH; `labels`: whose it is; `volumes`: folders
    that the image wants kept, which are empty here, as a run may write nowhere but in its own; `runtime`: the engine's
    own where empty."""

    image: str
    path: str
    labels: dict[str, str]
    volumes: Sequence[str] = ()
    runtime: str = ""


def has_kernel(runtime: str) -> bool:
    """Whether a runtime puts a kernel of its own between the code and the machine."""
    return runtime.startswith("runsc")


def config(made: Make, size: Size) -> dict[str, Any]:
    """The body of `POST /containers/create` (Docker Engine API 1.40)."""
    kernel = has_kernel(made.runtime)
    env = {**ENVIRONMENT, "PATH": made.path}
    unset = "HOSTNAME"  # what Docker adds by itself; in a kernel like gVisor's a run can read it
    return {
        "Image": made.image,
        "Entrypoint": ["python3", "-c", START_AS_ROOT if kernel else START],
        "Cmd": [],
        "Env": [*(f"{name}={value}" for name, value in env.items()), unset],
        "User": "0:0" if kernel else f"{USER}:{USER}",
        "WorkingDir": "/",
        "Hostname": "sandbox",
        "NetworkDisabled": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Labels": made.labels,
        "Volumes": {} if kernel else {"/workspace": {}},
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "HostConfig": {**_walls(made, kernel), **_limits(size, kernel, made.volumes)},
    }


def _walls(made: Make, kernel: bool) -> dict[str, Any]:
    """What it can reach."""
    walls: dict[str, Any] = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        # Of gVisor's own kernel: our process becomes another user at once, see `cage.step_back`.
        "CapAdd": ["SETUID", "SETGID", "SETPCAP"] if kernel else [],
        "SecurityOpt": ["no-new-privileges", f"seccomp={seccomp.profile()}"],
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "MaskedPaths": list(MASKED),
        "ReadonlyPaths": list(READ_ONLY),
        "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
        "Dns": ["127.0.0.1"],
        "AutoRemove": True,
        "LogConfig": {"Type": "none"},
        "Init": False,
    }
    return {**walls, "Runtime": made.runtime} if made.runtime else walls


def _limits(size: Size, kernel: bool, volumes: Sequence[str]) -> dict[str, Any]:
    """How much of it."""
    scratch = min(size.disk, size.memory)
    tmpfs = f"rw,nosuid,nodev,size={scratch},nr_inodes={max(scratch // _INODES, 64)},mode=1777"
    memory = size.memory + (KERNEL_OVERHEAD + size.disk if kernel else OVERHEAD)
    limits: dict[str, Any] = {
        "Memory": memory,
        "MemorySwap": memory,  # together: none of it is swap
        "NanoCpus": max(int(size.cpu * _CPU), _CPU // 100),
        "OomScoreAdj": 1000,
        "Tmpfs": {"/tmp": f"{tmpfs},exec", "/dev/shm": f"{tmpfs},noexec", **dict.fromkeys(volumes, _EMPTY)},
        "Ulimits": [{"Name": name, "Soft": most, "Hard": most} for name, most in _LIMITS.items()],
    }
    if not kernel:
        return {**limits, "PidsLimit": size.processes + 1}
    # A kernel of its own has threads of the machine's, which are no processes of the run's, and counts those itself.
    # The workspace lies in its memory, where it sees what is deleted and still held.
    limits["Tmpfs"]["/workspace"] = f"rw,nosuid,nodev,exec,size={2 * size.disk},uid={USER},gid={USER},mode=0755"
    return limits
