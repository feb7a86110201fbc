"""Takes everything away from a run's first process: rights, system calls, and more than its share."""

from __future__ import annotations

import math
import os
import resource
import signal

from agenthost.sandboxes.inside import linux, rooms

# Threads' stacks count as data (8 MiB each), so the room is wider than the memory that the run may
# really touch; `watch` bounds that.
DATA_ROOM = 256 * 1024 * 1024
NOFILE = 1024


def become(owner: int, proc: int) -> None:
    """Root's way to a user of the run's own: drop groups and ids, then a user namespace of its own."""
    os.setgroups([])
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)
    linux.raise_capabilities()  # some systems let only a capable process make user namespaces
    linux.prctl(linux.PR_SET_DUMPABLE, 1)  # else /proc/self/uid_map belongs to root
    linux.unshare(linux.CLONE_NEWUSER)
    rooms.map_user(proc, owner, owner)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def limits(memory: int, processes: int, disk: int, seconds: int, count_processes: bool) -> None:
    """Per-process limits. What a whole run may use is watched over by its pid 1."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, memory + DATA_ROOM)
    _limit(resource.RLIMIT_FSIZE, disk)
    _limit(resource.RLIMIT_NOFILE, NOFILE)
    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_MEMLOCK, 64 * 1024)
    _limit(resource.RLIMIT_MSGQUEUE, 64 * 1024)
    _limit(resource.RLIMIT_SIGPENDING, 1024)
    _limit(resource.RLIMIT_NICE, 0)
    _limit(resource.RLIMIT_RTPRIO, 0)
    if count_processes:
        _limit(resource.RLIMIT_NPROC, processes + 1)  # and the run's pid 1


def pin(cores: float, turn: int) -> None:
    """Stay on as many cores as granted, each run beginning at another one."""
    allowed = sorted(os.sched_getaffinity(0))
    wanted = max(1, math.ceil(cores))
    if wanted < len(allowed):
        os.sched_setaffinity(0, [allowed[(turn + n) % len(allowed)] for n in range(wanted)])


def lock(program: bytes) -> None:
    """The last step: no rights, no way to new ones, and a system call filter. There is no way back."""
    linux.drop_capabilities()
    linux.filter_calls(program)


def plain_signals() -> None:
    """The signal state that a program expects to start with."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
