"""A run's own root: the read-only skeleton, its workspace, its packages, an empty /tmp and a small /proc."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct

from agenthost.sandboxes.inside import linux

SKELETON, NEW = "/skel", "/new"
WORKSPACES, LAYERS = "/host/workspaces", "/host/layers"
GRANTED_ETC = "/host/etc"
PACKAGES = "/opt/agenthost/packages"
UID = 1000

# What shows the machine rather than the run; hidden where the kernel can't leave it out by itself.
_MASKED = (
    "sys", "bus", "irq", "fs", "acpi", "scsi", "asound", "driver", "tty", "sysvipc", "dynamic_debug",
    "pressure", "sysrq-trigger", "kcore", "keys", "key-users", "timer_list", "kallsyms", "kmsg", "kpagecount",
    "kpageflags", "cmdline", "config.gz", "interrupts", "iomem", "ioports", "modules", "mtrr", "sched_debug",
    "slabinfo", "softirqs", "swaps", "vmallocinfo", "diskstats",
)  # fmt: skip


def map_user(proc: int, outer_uid: int, outer_gid: int) -> None:
    """Be user 1000 in the new user namespace, and nobody else. `proc` is an open /proc that can be written."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{UID} {outer_uid} 1"),
        ("gid_map", f"{UID} {outer_gid} 1"),
    ):
        file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        os.write(file, text.encode())
        os.close(file)


def loopback_up() -> None:
    """A loopback of the run's own: a server under test can be reached, the host's can't."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # SIOCSIFFLAGS with IFF_UP | IFF_RUNNING (linux/sockios.h, net/if.h)
        fcntl.ioctl(probe, 0x8914, struct.pack("16sH22x", b"lo", 0x41))


def _proc() -> None:
    """Read-only: a run that writes oom_score_adj would have the kernel end the host's processes first."""
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_RDONLY
    try:
        linux.mount("proc", f"{NEW}/proc", "proc", flags, "subset=pid")
        return
    except OSError as problem:
        if problem.errno != errno.EINVAL:
            raise
    linux.mount("proc", f"{NEW}/proc", "proc", flags)  # before Linux 5.8
    for name in _MASKED:
        path = f"{NEW}/proc/{name}"
        if os.path.isdir(path):
            linux.mount("tmpfs", path, "tmpfs", flags, "size=4k")
        elif os.path.exists(path):
            linux.mount("/dev/null", path, None, linux.MS_BIND)


def lay_out() -> None:
    """What doesn't depend on the run, so that it can be done before there is one."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount(SKELETON, NEW, None, linux.MS_BIND | linux.MS_REC)
    _proc()


def listeners(ports: list[int]) -> list[socket.socket]:
    """What a run with hosts granted talks to: a listening socket for each TCP port, and the name server's at the end."""
    made: list[socket.socket] = []
    try:
        for port in ports:
            made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            made[-1].bind(("0.0.0.0", port))
            made[-1].listen(128)
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made[-1].bind(("127.0.0.1", 53))
    except PermissionError:
        mend = "start AgentHost with --cap-add NET_BIND_SERVICE, or as an ordinary user"
        raise PermissionError(f"granted hosts need the capability NET_BIND_SERVICE; {mend}") from None
    return made


def move_in(workspace: str, inode: int, layer: str, size: int, owner: int | None, granted: bool) -> None:
    """Add the run's own folders and leave everything else behind.

    `size` bounds /tmp and /dev/shm together, in bytes; `owner` is who they belong to.
    `granted`: it has hosts, and an /etc to find them. `inode` is the workspace's as the host saw it: a link put in its way meanwhile leads nowhere.
    """
    mine = "" if owner is None else f",uid={owner},gid={owner}"
    inodes = max(size // 4096, 64)
    options = f"size={size},nr_inodes={inodes},mode=1777{mine}"
    linux.mount("tmpfs", f"{NEW}/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    os.mkdir(f"{NEW}/tmp/.shm", 0o700)
    os.chmod(f"{NEW}/tmp/.shm", 0o1777)
    if owner is not None:
        os.chown(f"{NEW}/tmp/.shm", owner, owner)
    linux.mount(f"{WORKSPACES}/{workspace}", f"{NEW}/workspace", None, linux.MS_BIND)
    if os.stat(f"{NEW}/workspace").st_ino != inode:
        raise OSError("the workspace was exchanged for another folder")
    if layer:
        linux.mount(f"{LAYERS}/{layer}", f"{NEW}{PACKAGES}", None, linux.MS_BIND)
    if granted:
        linux.mount(GRANTED_ETC, f"{NEW}/etc", None, linux.MS_BIND | linux.MS_REC)
    linux.pivot_into(NEW)


def hand_over(folder: str, owner: int) -> None:
    """Give everything in `folder` to `owner`. Links are never followed, and set-id bits go with the change.

    Another run in the same workspace may take a file away meanwhile: then there is nothing to give."""
    os.chown(folder, owner, owner, follow_symlinks=False)
    for _, folders, files, parent in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                if os.stat(name, dir_fd=parent, follow_symlinks=False).st_uid != owner:
                    os.chown(name, owner, owner, dir_fd=parent, follow_symlinks=False)
