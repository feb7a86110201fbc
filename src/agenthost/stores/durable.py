"""Writing files so that they survive the loss of power, and what the disk's refusals mean."""

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from agenthost.core.errors import Temporary, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def disk_errors(where: Path) -> Generator[None, None, None]:
    """Say in our words why writing below `where` failed.

    Raises Temporary (`disk-full`) where there is no room (the disk, a quota or a size limit), and
    Unavailable where it may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Temporary(
                f"there is no room left to write below {where} ({os.strerror(error.errno or 0)}); "
                "free some space and go on",
                code="disk-full",
            ) from error
        if error.errno in _REFUSED:
            raise Unavailable(
                f"{where} can't be written ({os.strerror(error.errno or 0)}); give this user the right to write "
                "there, or set AGENTHOST_HOME to a folder that it may write"
            ) from error
        raise


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder survive the loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`, however often the system takes only a part of it."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_temporary(folder: Path, content: bytes, mode: int) -> Path:
    """A new file in `folder` with `content`, synced. Nothing is left behind when it fails."""
    path = folder / f"{secrets.token_hex(12)}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return path


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Make `path` have `content` in one step: whoever reads it sees the old or the new, never a part."""
    put_in_place(write_temporary(path.parent, content, mode), path)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file that is on disk, durably. It is not left behind when that fails."""
    try:
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fsync_folder(path.parent)
