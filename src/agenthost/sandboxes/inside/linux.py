"""The system calls that Python's library doesn't offer, by ctypes. Errors are OSError.

Numbers are from Linux's uapi headers (linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

# PyDLL keeps the interpreter's lock during a call: a clone must come back holding it.
LIBC = ctypes.PyDLL(None, use_errno=True)
LIBC.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
MACHINE = os.uname().machine

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
OWN = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 4, 8, 38
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
CAPABILITY_VERSION_3 = 0x20080522

_CLONE = {"x86_64": 56, "aarch64": 220}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CLOSE_RANGE = 436


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def clone(flags: int) -> int:
    """Fork into new namespaces: 0 in the child, the child's pid in the parent.

    Python's own fork handlers don't run; the caller has one thread, and the child forks again
    (properly) before it runs anything of somebody else's.
    """
    none = ctypes.c_long(0)
    number = ctypes.c_long(_CLONE[MACHINE])
    result = LIBC.syscall(number, ctypes.c_long(flags | signal.SIGCHLD), none, none, none, none)
    return _checked(result, "new namespaces")


def unshare(flags: int) -> None:
    _checked(LIBC.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    done = LIBC.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _checked(done, f"mount {target}")


def pivot_into(folder: str) -> None:
    """Make `folder` (a mount point) the root and let go of the old one."""
    os.chdir(folder)
    _checked(LIBC.syscall(ctypes.c_long(_PIVOT_ROOT[MACHINE]), b".", b"."), "pivot_root")
    _checked(LIBC.umount2(b".", MNT_DETACH), "leaving the old root")
    os.chdir("/")


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    return _checked(LIBC.prctl(option, first, second, 0, 0), "prctl")


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    done = LIBC.syscall(
        ctypes.c_long(_CLOSE_RANGE), ctypes.c_ulong(first), ctypes.c_ulong(0xFFFFFFFF), ctypes.c_long(0)
    )
    if done < 0:
        if ctypes.get_errno() != errno.ENOSYS:
            raise OSError(ctypes.get_errno(), "close_range")
        os.closerange(first, max(os.sysconf("SC_OPEN_MAX"), 4096))


def raise_capabilities() -> None:
    """Make every permitted capability effective again (after a setresuid under KEEPCAPS)."""
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _checked(LIBC.capget(header, data), "capget")
    low, high = struct.unpack_from("=I", data.raw, 4)[0], struct.unpack_from("=I", data.raw, 16)[0]
    _checked(LIBC.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)), "capset")


def drop_capabilities() -> None:
    """No capability now, and none to be had by exec: the bounding and ambient sets are emptied too."""
    for capability in range(64):
        try:
            # Who may not drop it (in a container) finds it dropped, or stops here.
            if prctl(PR_CAPBSET_READ, capability):
                prctl(PR_CAPBSET_DROP, capability)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
            break
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    _checked(LIBC.capset(header, bytes(24)), "capset")


def filter_calls(program: bytes) -> None:
    """Put a seccomp filter (an array of sock_filter) on this process for good."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(head))
