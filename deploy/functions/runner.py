"""Starts one command under its limits, tells how it ended, and ends everything that it left. A process of its own.

Run as `python -I runner.py ORDER`; the order is JSON, its `status` the descriptor to which the end is told.
"""

import contextlib
import ctypes
import fcntl
import json
import math
import os
import resource
import signal
import socket
import struct
import sys
from typing import Any, NoReturn

_PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER, _PR_CAPBSET_DROP, _PR_SET_SECCOMP = 38, 36, 24, 22
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
# User ids from here on belong to nobody: one for each run, by its runner's pid.
_FIRST_USER = 1 << 24
_SPARE_MEMORY = 256 * 1024 * 1024
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
# Of each machine: AUDIT_ARCH, and the numbers of socket(2) and io_uring_setup(2).
_CALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    order = json.loads(sys.argv[1])
    status: int = order["status"]
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        apart = _no_network()
    except OSError as error:
        os.write(status, json.dumps({"error": f"the network can't be shut off here: {error}"}).encode())
        return
    user = _own_user(order["own"])
    others = 0 if apart or user else _threads_of_ours()
    # Without processes of its own a run could end whatever its user owns: kill(-1, 9) alone is enough.
    if _LIBC.unshare(_CLONE_NEWPID | _CLONE_NEWNS) != 0:
        _follow(order, others, status, user)
        _end_the_rest()
        return
    first = os.fork()
    if first == 0:
        _own_proc()
        _follow(order, others, status, user)
        os._exit(0)  # the kernel ends with us whatever the run left
    for stream in (0, 1, 2):
        os.close(stream)
    os.waitpid(first, 0)


def _own_user(folders: list[str]) -> int:
    """Where we are root: a user id that owns these folders and nothing else, since the kernel bounds root's processes by
    no limit, and everybody's own otherwise. Else 0, also where nobody else may use this Python."""
    user = _FIRST_USER + os.getpid()
    if os.geteuid() != 0 or not _for_all(sys.executable):
        return 0
    try:
        for folder in folders:
            for place, _, files in os.walk(folder):
                for path in (place, *(os.path.join(place, name) for name in files)):
                    os.chown(path, user, user, follow_symlinks=False)
    except OSError:
        return 0  # a root that may do little, such as one of a user namespace
    return user


def _for_all(program: str) -> bool:
    """Whether everybody may run it."""
    for path in {program, os.path.realpath(program)}:
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                return False
            path = os.path.dirname(path)
    return True


def _follow(order: dict[str, Any], others: int, status: int, user: int) -> None:
    """Start the command, wait for its end and tell it."""
    child = os.fork()
    if child == 0:
        # The kernel counts threads: in a user namespace those in it, else all of this user's. For root it doesn't.
        _limit(resource.RLIMIT_NPROC, order["processes"] + 3 + others)
        os.close(status)
        _become(order, user)
    for stream in (0, 1, 2):
        os.close(stream)
    while True:
        ended, how = os.wait()
        if ended == child:
            break
    code = os.waitstatus_to_exitcode(how)
    os.write(status, json.dumps({"exit": code if code >= 0 else 128 - code}).encode())


def _own_proc() -> None:
    """A /proc that shows the run's own processes; where it may not be mounted, the one that is there stays."""
    if _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0:
        _LIBC.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)


def _become(order: dict[str, Any], user: int) -> NoReturn:
    argv: list[str] = order["argv"]
    try:
        _bind(order["cpu"])
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_DATA, order["memory"] + _SPARE_MEMORY)
        _limit(resource.RLIMIT_FSIZE, order["disk"])
        _limit(resource.RLIMIT_CPU, math.ceil(order["timeout"] * math.ceil(order["cpu"])) + 1)
        _no_rights()
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        os.chdir(order["cwd"])
        # Python ignores these two, and what is ignored stays so in what it starts.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execvpe(argv[0], argv, order["env"])
    except FileNotFoundError:
        missing = argv[0] if os.path.isdir(order["cwd"]) else order["cwd"]
        os.write(2, f"{missing}: not found\n".encode())
        os._exit(127)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error}\n".encode())
        os._exit(126)


def _limit(kind: int, wanted: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _bind(cpu: float) -> None:
    here = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, here[: max(1, math.ceil(cpu))])


def _no_rights() -> None:
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _no_network() -> bool:
    """A network of its own with nothing but a loopback; where there are no namespaces (False), no internet sockets."""
    user, group = os.geteuid(), os.getegid()
    if _LIBC.unshare(_CLONE_NEWNET if user == 0 else _CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        # The network is shut by now. Where the rest fails, there is no loopback, or the user has no name.
        with contextlib.suppress(OSError):
            if user:
                _map("setgroups", "deny")
                _map("uid_map", f"{user} {user} 1")
                _map("gid_map", f"{group} {group} 1")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as side:
                name = struct.pack("16sH14x", b"lo", 0)
                flags = struct.unpack("16sH14x", fcntl.ioctl(side, _SIOCGIFFLAGS, name))[1]
                fcntl.ioctl(side, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
        return True
    _filter()
    return False


def _threads_of_ours() -> int:
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}/task").st_uid == os.geteuid():
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return count


def _map(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def _filter() -> None:
    """A seccomp filter under which socket(2) makes local ones only; see seccomp(2) and linux/bpf_common.h."""
    machine = os.uname().machine
    if machine not in _CALLS:
        raise OSError(f"no filter for {machine}")
    arch, make, ring = _CALLS[machine]
    load, equal, ret = 0x20, 0x15, 0x06
    allow, kill, refuse = 0x7FFF0000, 0x80000000, 0x00050000 | 97  # EAFNOSUPPORT
    above = 0x35  # x32's numbers on x86_64
    lines = [
        (load, 0, 0, 4),
        (equal, 1, 0, arch),
        (ret, 0, 0, kill),
        (load, 0, 0, 0),
        (above, 0, 1, 0x40000000),
        (ret, 0, 0, kill),
        (equal, 0, 1, ring),
        (ret, 0, 0, refuse),
        (equal, 0, 3, make),
        (load, 0, 0, 16),
        (equal, 1, 0, int(socket.AF_UNIX)),
        (ret, 0, 0, refuse),
        (ret, 0, 0, allow),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    memory = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(memory))
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _LIBC.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no namespaces and no seccomp")


def _end_the_rest() -> None:
    """Kill whatever is still below us until there is nothing."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for child in _children():
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _children() -> list[int]:
    """Ours; what is below them becomes ours when they end."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    told = file.read()
            except OSError:
                continue
            # The name of the program stands in parentheses and may hold anything.
            if int(told[told.rindex(b")") + 2 :].split()[1]) == os.getpid():
                found.append(int(name))
    return found


if __name__ == "__main__":
    main()
