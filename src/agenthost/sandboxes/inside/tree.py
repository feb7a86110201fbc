"""A workspace's folder as one side tells the other of it: ordinary files and folders, and what changed since.

The host has one for its own folder and the room one for its. Used only while no run is going on. No link is
ever followed: a run may have left any in the way.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

# Folders of caches stay in the room and aren't told, as the host doesn't keep them either.
IGNORED = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
LONGEST_PATH = 1024
# Paths told in one record.
_TOGETHER = 32
# A file written within a tick of the kernel's coarse clock may be written again without a trace of it in its times.
_TICK_NS = 50_000_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Signature(NamedTuple):
    mtime: int
    size: int
    inode: int
    ctime: int


def _signature(facts: os.stat_result) -> _Signature:
    return _Signature(facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_ctime_ns)


class Tree:
    """A workspace's folder and what the other side knows of it. `cleaning`: links and devices are removed, else passed over."""

    def __init__(self, root: str, cleaning: bool) -> None:
        self._root = root
        self._cleaning = cleaning
        self._files: dict[str, _Signature | None] = {}
        self._folders: set[str] = set()

    def size(self) -> int:
        """Bytes of all files that both sides know."""
        return sum(seen.size for seen in self._files.values() if seen is not None)

    # --- what the other side sends -----------------------------------------------------------

    def folder(self, path: str) -> None:
        """Have a folder at `path`; what else stands there goes."""
        names = path.split("/")
        for count in range(1, len(names) + 1):
            parent = self._open(names[: count - 1])
            try:
                self._folder_in(parent, names[count - 1])
            finally:
                os.close(parent)
            self._folders.add("/".join(names[:count]))

    def _folder_in(self, parent: int, name: str) -> None:
        try:
            os.mkdir(name, 0o777, dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                return
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o777, dir_fd=parent)
        os.chmod(name, 0o777, dir_fd=parent)

    def begin(self, path: str) -> int:
        """A new file at `path`, open for writing, in place of whatever stood there."""
        above, _, name = path.rpartition("/")
        if above:
            self.folder(above)
        parent = self._open(above.split("/") if above else [])
        try:
            self._remove_in(parent, name)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(name, flags, 0o600, dir_fd=parent)
        finally:
            os.close(parent)

    def finish(self, path: str, file: int, mtime: int) -> None:
        """The file is complete. Its time is the other side's, and in the past, so that any writing shows."""
        start = os.pread(file, 4, 0)
        os.fchmod(file, 0o777 if start[:2] == b"#!" or start == b"\x7fELF" else 0o666)
        then = min(mtime, time.time_ns() - _TICK_NS)
        os.utime(file, ns=(then, then))
        self._files[path] = _signature(os.fstat(file))
        os.close(file)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with everything in it."""
        self._files.pop(path, None)
        self._folders.discard(path)
        above, _, name = path.rpartition("/")
        try:
            parent = self._open(above.split("/") if above else [])
        except OSError:
            return
        try:
            self._remove_in(parent, name)
        finally:
            os.close(parent)

    def _remove_in(self, parent: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):
            folder = _opened(name, parent)
            try:
                empty(folder)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=parent)

    # --- what the other side is told ---------------------------------------------------------

    def changes(self) -> Iterator[dict[str, Any]]:
        """What differs from what the other side knows, as heads of records; those with a `file` have its content next.

        It is taken to know everything from the first head on: read to the end, or give the other side up.
        """
        files: dict[str, _Signature | None] = {}
        folders: set[str] = set()
        changed: list[tuple[str, os.stat_result]] = []
        began = time.time_ns()
        for path, facts in self._walk():
            if stat.S_ISDIR(facts.st_mode):
                folders.add(path)
                continue
            now = _signature(facts)
            known = self._files.get(path)
            if known != now:
                changed.append((path, facts))
            files[path] = now if max(now.mtime, now.ctime) < began - _TICK_NS or known == now else None
        gone = [*(self._files.keys() - files.keys()), *(self._folders - folders)]
        new = sorted(folders - self._folders)
        self._files, self._folders = files, folders
        for key, paths in (("gone", sorted(gone)), ("folders", new)):
            for at in range(0, len(paths), _TOGETHER):
                yield {key: paths[at : at + _TOGETHER]}
        for path, facts in changed:
            yield {"file": path, "size": facts.st_size, "mtime": facts.st_mtime_ns}

    def open(self, path: str) -> int:
        """A file that `changes` named, open for reading."""
        above, _, name = path.rpartition("/")
        parent = self._open(above.split("/") if above else [])
        try:
            return os.open(name, _READ, dir_fd=parent)
        except PermissionError:
            os.chmod(name, 0o666, dir_fd=parent)
            return os.open(name, _READ, dir_fd=parent)
        finally:
            os.close(parent)

    def _open(self, names: Sequence[str]) -> int:
        current = os.open(self._root, _FOLDER)
        for name in names:
            try:
                following = _opened(name, current)
            finally:
                os.close(current)
            current = following
        return current

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            names = waiting.pop()
            try:
                folder = self._open(names)
            except OSError:
                continue
            try:
                yield from self._entries(folder, names, waiting)
            finally:
                os.close(folder)

    def _entries(
        self, folder: int, names: tuple[str, ...], waiting: list[tuple[str, ...]]
    ) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            path = "/".join((*names, entry.name))
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                if entry.name in IGNORED or not _tellable(path):
                    continue
                waiting.append((*names, entry.name))
            elif not stat.S_ISREG(facts.st_mode) or not _tellable(path):
                if self._cleaning:
                    os.unlink(entry.name, dir_fd=folder)
                continue
            yield path, facts


def _opened(name: str, parent: int) -> int:
    """A folder, open; a run may have shut it."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o777, dir_fd=parent)
        folder = os.open(name, _FOLDER, dir_fd=parent)
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        os.fchmod(folder, 0o777)
    return folder


def _tellable(path: str) -> bool:
    try:
        return len(path.encode()) <= LONGEST_PATH
    except UnicodeEncodeError:
        return False


def empty(folder: int) -> None:
    """Remove everything in an open folder, however deep: folders are moved up before they are emptied."""
    while names := os.listdir(folder):
        for name in names:
            _empty_one(folder, name)


def empty_mine(folder: int) -> None:
    """Remove what is this user's in an open folder that others have things in too."""
    while names := [name for name in os.listdir(folder) if _mine(folder, name)]:
        for name in names:
            _empty_one(folder, name)


def _mine(folder: int, name: str) -> bool:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid == os.getuid()


def _empty_one(root: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=root)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        os.chmod(name, 0o700, dir_fd=root)
    folder = os.open(name, _FOLDER, dir_fd=root)
    try:
        for inner in os.listdir(folder):
            try:
                os.unlink(inner, dir_fd=folder)
            except (IsADirectoryError, PermissionError):
                os.chmod(inner, 0o700, dir_fd=folder)
                os.rename(inner, f".{os.urandom(12).hex()}", src_dir_fd=folder, dst_dir_fd=root)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=root)
