"""One workspace's folder, from a thread: scan it, hash what changed, make it what it should be."""

import os
import stat
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.stores import beneath

IGNORED = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
"""Folders of caches: they stay while the workspace is on disk, and are neither kept nor restored."""

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY, _TRASH = ".tmp", ".trash"
_STALE = 3600.0  # seconds after which a temporary file belongs to nobody any more
# A file that was written again within one tick of the kernel's coarse clock (10 ms at most) may look
# unchanged; what was hashed so soon after its last change is hashed again.
_TICK_NS = 50_000_000


class WorkspaceLimits(Struct, frozen=True):
    """The most that a workspace may hold: files, bytes in one file, bytes in all."""

    files: int = 20_000
    file: int = 64 * 1024 * 1024
    total: int = 1024 * 1024 * 1024


class Signature(NamedTuple):
    """What changes whenever a file does. A program can set the first, and not the last."""

    mtime: int
    size: int
    inode: int
    ctime: int


class Found(NamedTuple):
    """A file of a scan: bytes, and its digest where it is known to be unchanged (else `""`)."""

    size: int
    digest: str


class _Seen(NamedTuple):
    signature: Signature
    digest: str


def _signature(facts: os.stat_result) -> Signature:
    return Signature(facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_ctime_ns)


def check_kept(names: tuple[str, ...]) -> None:
    """Raises BadInput for a path in a folder that isn't kept."""
    for name in names[:-1]:
        if name in IGNORED:
            raise BadInput(f"files in '{name}' are a cache and not kept; use another folder")


def mode_of(content: bytes) -> int:
    """A file's mode: executable where the content is a script with `#!` or an ELF program."""
    return 0o777 if content[:2] == b"#!" or content[:4] == b"\x7fELF" else 0o666


class Tree:
    """The folder `root/name`. Its methods block; one thread at a time may scan, prune or remove."""

    def __init__(self, root: Path, name: str, limits: WorkspaceLimits) -> None:
        self._root = root
        self._name = name
        self._limits = limits
        self._seen: dict[str, _Seen] = {}
        self._made = False

    # --- opening -----------------------------------------------------------------------------

    @contextmanager
    def _opened(self, *names: str) -> Generator[int, None, None]:
        folder = os.open(self._root.joinpath(*names), _OPEN)
        try:
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _folder(self) -> Generator[int, None, None]:
        path = self._root / self._name
        if not self._made:
            self._make()
        try:
            folder = os.open(path, _OPEN)
        except FileNotFoundError:
            self._make()
            folder = os.open(path, _OPEN)
        try:
            beneath.loosen(folder)
            yield folder
        finally:
            os.close(folder)

    def _make(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for inner in (_TEMPORARY, _TRASH):
            (self._root / inner).mkdir(mode=0o700, exist_ok=True)
        for left in (self._root / _TEMPORARY).iterdir():
            with suppress(OSError):
                if left.stat().st_mtime < time.time() - _STALE:
                    left.unlink()
        (self._root / self._name).mkdir(mode=0o777, exist_ok=True)
        self._made = True

    @contextmanager
    def _trash(self) -> Generator[int, None, None]:
        # One for each workspace: two that empty the same folder would trip over each other.
        (self._root / _TRASH / self._name).mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._opened(_TRASH, self._name) as trash:
            yield trash
            beneath.empty(trash)
        with suppress(OSError):
            (self._root / _TRASH / self._name).rmdir()

    # --- the whole folder --------------------------------------------------------------------

    def scan(self) -> tuple[dict[str, Found], tuple[str, ...]]:
        """The files, and what was removed because it is no ordinary file. Raises BadInput beyond the limits."""
        found: dict[str, Found] = {}
        dropped: list[str] = []
        with self._folder() as root, self._trash() as trash:
            total = 0
            for names, folder, entry in self._walk(root):
                path = "/".join((*names, entry.name))
                if (reason := _unkept(entry, path)) is not None:
                    dropped.append(f"{path!a} ({reason})")
                    beneath.remove(folder, trash, entry.name)
                elif not entry.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        found[path] = self._found(path, entry.stat(follow_symlinks=False))
                        total += found[path].size
                        self._check(path, found[path].size, len(found), total)
        self._seen = {path: seen for path, seen in self._seen.items() if path in found}
        return found, tuple(dropped)

    def prune(self, wanted: dict[str, str]) -> list[str]:
        """Remove everything that is not in `wanted` (path to digest); the paths that must be written."""
        folders = {path[:at] for path in wanted for at in range(len(path)) if path[at] == "/"}
        missing = dict.fromkeys(sorted(wanted))
        with self._folder() as root, self._trash() as trash:
            for names, folder, entry in self._walk(root, only=folders):
                path = "/".join((*names, entry.name))
                if entry.is_dir(follow_symlinks=False):
                    keep = path in folders
                else:
                    keep = path in wanted and entry.is_file(follow_symlinks=False)
                    if keep and self._is(path, wanted[path], entry):
                        missing.pop(path, None)
                if not keep:
                    beneath.remove(folder, trash, entry.name)
        return list(missing)

    def list(self) -> list[tuple[str, int]]:
        """Paths and sizes in bytes, sorted. Raises BadInput beyond the limit of files."""
        files: list[tuple[str, int]] = []
        with self._folder() as root:
            for names, _, entry in self._walk(root):
                path = "/".join((*names, entry.name))
                if entry.is_file(follow_symlinks=False) and _unkept(entry, path) is None:
                    with suppress(FileNotFoundError):
                        files.append((path, entry.stat(follow_symlinks=False).st_size))
                        self._check(path, 0, len(files), 0)
        return sorted(files)

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        if not (self._root / self._name).is_dir():
            return
        with self._trash() as trash, self._opened() as root:
            beneath.remove(root, trash, self._name)
        self._seen = {}

    def _walk(
        self, root: int, only: Collection[str] | None = None
    ) -> Generator[tuple[tuple[str, ...], int, os.DirEntry[str]], None, None]:
        """Every entry with the names of its folder and that folder's descriptor. Folders of caches are left out,
        or, with `only`, all folders that are not in it. It holds one descriptor at a time, however deep."""
        waiting: list[tuple[str, ...]] = [()]
        count = 0
        while waiting:
            names = waiting.pop()
            try:
                folder = beneath.open_folder(root, names, mode=0o777)
            except (BadInput, NotFound):
                continue  # swapped or removed since it was listed
            try:
                beneath.loosen(folder)
                for entry in _entries(folder):
                    count += 1
                    if only is None and count > 4 * self._limits.files:
                        raise BadInput(
                            f"the workspace has more than {4 * self._limits.files:,} files and folders; delete what is "
                            "not needed"
                        )
                    if entry.is_dir(follow_symlinks=False):
                        path = "/".join((*names, entry.name))
                        if only is None and entry.name in IGNORED:
                            continue
                        if (path in only) if only is not None else _unkept(entry, path) is None:
                            waiting.append((*names, entry.name))
                    yield names, folder, entry
            finally:
                os.close(folder)

    def _check(self, path: str, size: int, count: int, total: int) -> None:
        if size > self._limits.file:
            raise BadInput(
                f"'{path}' has {size:,} bytes, and a file of the workspace may have {self._limits.file:,}; delete it "
                "or make it smaller"
            )
        if count > self._limits.files:
            raise BadInput(f"the workspace has more than {self._limits.files:,} files; delete what is not needed")
        if total > self._limits.total:
            raise BadInput(f"the workspace has more than {self._limits.total:,} bytes; delete what is not needed")

    # --- one file ----------------------------------------------------------------------------

    def _found(self, path: str, facts: os.stat_result) -> Found:
        seen = self._seen.get(path)
        if seen is not None and seen.signature == _signature(facts):
            return Found(facts.st_size, seen.digest)
        return Found(facts.st_size, "")

    def _is(self, path: str, wanted: str, entry: "os.DirEntry[str]") -> bool:
        try:
            found = self._found(path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return False
        if found.digest or found.size > self._limits.file:
            return found.digest == wanted
        taken = self.take(path)
        return taken is not None and taken[1] == wanted

    def take(self, path: str) -> tuple[bytes, str] | None:
        """A file's content and digest, None where it is gone or no ordinary file any more."""
        try:
            with self._folder() as root, beneath.opened(root, tuple(path.split("/"))) as (file, _):
                # Before anything is read: a change after this moment shows in the times of the file.
                began = time.time_ns()
                content = beneath.read_all(file, self._limits.file)
                if stat.S_IMODE(os.fstat(file).st_mode) != mode_of(content):
                    with suppress(PermissionError):
                        os.fchmod(file, mode_of(content))
                facts = os.fstat(file)
        except BadInput:  # NotFound is one
            return None
        self._check(path, len(content), 0, 0)
        hashed = digest(content)
        self._seen.pop(path, None)
        if facts.st_size == len(content) and facts.st_ctime_ns < began - _TICK_NS:
            self._seen[path] = _Seen(_signature(facts), hashed)
        return content, hashed

    def read(self, names: tuple[str, ...]) -> bytes:
        """A file's content. Raises NotFound, BadInput."""
        with self._folder() as root, beneath.opened(root, names) as (file, _):
            content = beneath.read_all(file, self._limits.file)
        self._check("/".join(names), len(content), 0, 0)
        return content

    def write(self, path: str, content: bytes) -> None:
        """Put a file in one step. Raises BadInput where a folder, or a file above it, is in its place."""
        with self._folder() as root, self._opened(_TEMPORARY) as temporaries:
            beneath.write_file(root, temporaries, tuple(path.split("/")), content, mode_of(content))

    def delete(self, names: tuple[str, ...]) -> None:
        """Remove a file, or a link itself. Raises NotFound, BadInput for a folder."""
        shown = "/".join(names)
        with self._folder() as root:
            folder = beneath.open_folder(root, names[:-1], mode=0o777)
            try:
                beneath.loosen(folder)
                os.unlink(names[-1], dir_fd=folder)
            except FileNotFoundError:
                raise NotFound(f"there is no file '{shown}'; list the files to see what is there") from None
            except IsADirectoryError:
                raise BadInput(f"'{shown}' is a folder; delete the files in it") from None
            finally:
                os.close(folder)


def _entries(folder: int) -> "list[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return list(entries)


def _unkept(entry: "os.DirEntry[str]", path: str) -> str | None:
    """Why an entry is not kept, None where it is."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    if len(encoded) > beneath.LONGEST_PATH:
        return "its path is too long"
    if entry.is_symlink():
        return "a link"
    if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
        return "a device, a pipe or a socket"
    return None
