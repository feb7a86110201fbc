"""The host's local socket: a unix domain socket in its home that only its owner may use."""

import contextlib
import errno
import os
import socket
import stat
import struct
from collections.abc import Generator
from pathlib import Path

from agenthost.core.errors import BadInput, HomeBusy

LONGEST = 100
"""Bytes of a socket's path that every system takes (sockaddr_un holds 108 on Linux, 104 on BSD)."""


@contextlib.contextmanager
def short_path(path: Path) -> Generator[str]:
    """`path`, or where that is too long for a socket's address another path to the same place.

    The other path goes through an open file descriptor of the folder, so it holds as long as the
    context. Raises BadInput where the system has no such thing.
    """
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    if not os.path.isdir("/proc/self/fd"):
        raise BadInput(
            f"the path of the host's socket has more than {LONGEST} bytes, which this system can't open: {path}. "
            "Set AGENTHOST_HOME to a folder with a shorter path"
        )
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, mode 0600 from its first moment, in a folder made with mode 0700.

    What a dead host left is replaced. Raises HomeBusy where a living one answers there, and
    BadInput where something else stands at `path` or the folder can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_free(path)
        return _bind(path)
    except OSError as error:
        raise BadInput(
            f"the host's socket can't be made at {path}: {error.strerror}. "
            "Set AGENTHOST_HOME to a folder that you may write"
        ) from error


def remove(path: Path, listening: tuple[int, int]) -> None:
    """Take the socket file away, unless another host has put its own there meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        if identity(path) == listening:
            path.unlink()


def identity(path: Path) -> tuple[int, int]:
    """Which file it is: device and inode."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def peer_uid(connection: socket.socket) -> int | None:
    """The user id of the process at the other end, None where the system doesn't tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    layout = struct.Struct("=iII")  # struct ucred: pid, uid, gid
    return layout.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size))[1]


def _bind(path: Path) -> socket.socket:
    # Bound under another name and moved: nobody sees the file before it has its mode, and a dead
    # host's socket is replaced in one step.
    fresh = path.with_name(f".{path.name[:40]}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(fresh) as reachable:
            listener.bind(reachable)
        os.chmod(fresh, 0o600)
        listener.listen(128)
        os.replace(fresh, path)
    except BaseException:
        listener.close()
        fresh.unlink(missing_ok=True)
        raise
    listener.setblocking(False)
    return listener


def _check_free(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BadInput(f"{path} is in the way: the host's socket belongs there. Move it away and start again")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, short_path(path) as reachable:
        probe.settimeout(1.0)
        try:
            probe.connect(reachable)
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                return
    raise HomeBusy(
        f"another host answers at {path}; stop it first, or give this one a home of its own (AGENTHOST_HOME)"
    )
