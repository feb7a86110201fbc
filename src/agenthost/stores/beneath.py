"""Reaching files below a folder that somebody hostile may be changing at the same time.

Nothing here takes a path apart and trusts it later: each component is opened from the folder
before it, by descriptor and without following links (openat with O_NOFOLLOW), and what is checked
is the open file. So a link that is swapped in at any moment leads nowhere.
"""

import errno
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress

from agenthost.core.errors import BadInput, NotFound
from agenthost.stores.durable import write_all

LONGEST_PATH = 1024
LONGEST_NAME = 255

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def components(path: str) -> tuple[str, ...]:
    """The names that a relative path goes through. Raises BadInput for any path that may lead out.

    `a/b`, `./a/b` and `a//b` are the same; `..`, absolute paths, NUL and over-long paths are refused.
    """
    shown = repr(path if len(path) <= 120 else path[:120] + "...")
    if path.startswith("/"):
        raise BadInput(f"the path {shown} is absolute; give one relative to the workspace, such as src/main.py")
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if not names or path.endswith("/"):
        raise BadInput(f"the path {shown} names no file; give one such as src/main.py")
    if ".." in names:
        raise BadInput(f"the path {shown} has '..' in it; give one that stays in the workspace, such as src/main.py")
    if "\0" in path:
        raise BadInput(f"the path {shown} has a NUL character in it; leave it out")
    try:
        encoded = [name.encode() for name in names]
    except UnicodeEncodeError:
        raise BadInput(f"the path {shown} is not valid Unicode; use another name") from None
    if sum(map(len, encoded)) + len(names) > LONGEST_PATH or max(map(len, encoded)) > LONGEST_NAME:
        raise BadInput(f"the path {shown} is too long; use at most {LONGEST_PATH} bytes, {LONGEST_NAME} for each name")
    return names


def open_folder(root: int, names: tuple[str, ...], make: bool = False, mode: int | None = None) -> int:
    """A descriptor of the folder at `names` below the folder `root`; close it.

    `make` makes what is missing. With a `mode`, folders that are made or can't be entered get it.
    Raises BadInput where a name is a link or a file, NotFound.
    """
    current = os.dup(root)
    try:
        for place, name in enumerate(names):
            following = _enter(current, name, "/".join(names[: place + 1]), make, mode)
            os.close(current)
            current = following
    except BaseException:
        os.close(current)
        raise
    return current


def _enter(current: int, name: str, shown: str, make: bool, mode: int | None) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o777, dir_fd=current)
            if mode is not None:
                unlock(current, name, mode)  # beyond the umask
    try:
        return _unlocked(current, name, _FOLDER, mode)
    except FileNotFoundError:
        raise NotFound(f"there is no folder '{shown}'; list the files to see what is there") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise BadInput(f"'{shown}' is a file or a link, not a folder; use another path") from None
        raise


def _unlocked(folder: int, name: str, flags: int, mode: int | None) -> int:
    """Open what is in a folder; with a mode, that is set where the one that it has is in the way."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError as error:
        if error.errno == errno.EACCES and mode is not None and unlock(folder, name, mode):
            return os.open(name, flags, dir_fd=folder)
        raise


def unlock(folder: int, name: str, mode: int) -> bool:
    """Set the mode of the file or folder `name`, never of what a link leads to; whether it worked.

    O_PATH needs no right to read, and /proc/self/fd names the very file that was opened and checked.
    """
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            return False
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def opened(
    root: int, names: tuple[str, ...], unlocking: bool = True
) -> Generator[tuple[int, os.stat_result], None, None]:
    """An ordinary file below `root`, open for reading, and its facts.

    `unlocking`: a mode that forbids reading is changed. Raises NotFound, and BadInput where it is a link, a folder, a device or the like.
    """
    shown = "/".join(names)
    folder = open_folder(root, names[:-1], mode=0o777 if unlocking else None)
    try:
        descriptor = _open_file(folder, names[-1], shown, unlocking)
    finally:
        os.close(folder)
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISDIR(facts.st_mode):
            raise BadInput(f"'{shown}' is a folder; give a file in it")
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"'{shown}' is not an ordinary file; use another path")
        yield descriptor, facts
    finally:
        os.close(descriptor)


def _open_file(folder: int, name: str, shown: str, unlocking: bool) -> int:
    try:
        return _unlocked(folder, name, _READ, 0o666 if unlocking else None)
    except FileNotFoundError:
        raise NotFound(f"there is no file '{shown}'; list the files to see what is there") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise BadInput(f"'{shown}' is a link or a socket, not an ordinary file; use another path") from None
        raise


def read_all(descriptor: int, most: int) -> bytes:
    """What is in an open file, at most `most` + 1 bytes: one more than `most` says that it is too large."""
    pieces: list[bytes] = []
    left = most + 1
    while left > 0:
        piece = os.read(descriptor, min(left, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def write_file(root: int, temporaries: int, names: tuple[str, ...], content: bytes, mode: int) -> os.stat_result:
    """Put a file below `root` in one step, by way of the folder `temporaries` on the same disk; its facts.

    What was there is replaced, be it a link; a folder in its place raises BadInput.
    """
    folder = open_folder(root, names[:-1], make=True, mode=0o777)
    try:
        loosen(folder)
        temporary = secrets.token_hex(12)
        try:
            descriptor = os.open(
                temporary,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
                dir_fd=temporaries,
            )
            try:
                write_all(descriptor, content)
                os.fchmod(descriptor, mode)
                os.rename(temporary, names[-1], src_dir_fd=temporaries, dst_dir_fd=folder)
                return os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except BaseException as error:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=temporaries)
            if isinstance(error, IsADirectoryError):
                raise BadInput(f"'{'/'.join(names)}' is a folder; give the path of a file") from None
            raise
    finally:
        os.close(folder)


def loosen(folder: int) -> None:
    """Let everybody write in an open folder; a program may have shut it. Who may reach it is decided above it."""
    if stat.S_IMODE(os.fstat(folder).st_mode) != 0o777:
        with suppress(PermissionError):
            os.fchmod(folder, 0o777)


def remove(folder: int, trash: int, name: str) -> None:
    """Remove whatever `name` in `folder` is. A folder goes by way of the folder `trash`, which must be the
    caller's alone. Fine if it is gone."""
    if not _unlinked(folder, name):
        with suppress(FileNotFoundError):
            os.rename(name, secrets.token_hex(12), src_dir_fd=folder, dst_dir_fd=trash)
            empty(trash)


def _unlinked(folder: int, name: str) -> bool:
    """Whether `name` is gone. A folder isn't, but may be moved now: it changes its parent, which takes the right to write in it."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        unlock(folder, name, 0o700)
        return False
    return True


def empty(trash: int) -> None:
    """Remove everything in the folder `trash`, however deep: folders are moved up before they are emptied.

    So it needs three descriptors and no recursion, whatever a program built.
    """
    while names := os.listdir(trash):
        for name in names:
            _empty_one(trash, name)


def _empty_one(trash: int, name: str) -> None:
    if _unlinked(trash, name):
        return
    try:
        folder = os.open(name, _FOLDER, dir_fd=trash)
    except FileNotFoundError:
        return
    try:
        for inner in os.listdir(folder):
            if not _unlinked(folder, inner):
                os.rename(inner, secrets.token_hex(12), src_dir_fd=folder, dst_dir_fd=trash)
    finally:
        os.close(folder)
    with suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=trash)
