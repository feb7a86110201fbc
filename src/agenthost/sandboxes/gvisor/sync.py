"""The workspace's folder here and its twin in a container: what has to go in, and how what comes out is written.

Whatever comes out is untrusted: a path is walked name by name from the folder, on open descriptors, and no link
is followed.
"""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from agenthost.sandboxes.inside.tree import IGNORED, LONGEST_PATH

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TOGETHER = 64

Signature = tuple[int, int, int, int]
Record = tuple[dict[str, Any], bytes]


class Twin:
    """What a container has of a workspace, by the signatures of the files here."""

    def __init__(self) -> None:
        self._files: dict[str, Signature] = {}
        self._folders: set[str] = set()

    def outgoing(self, folder: Path) -> Iterator[Record]:
        """Records that make the twin what the folder is now."""
        files: dict[str, Signature] = {}
        folders: set[str] = set()
        for path, facts in _walk(folder):
            if stat.S_ISDIR(facts.st_mode):
                folders.add(path)
            else:
                files[path] = _signature(facts)
        gone = sorted({*self._files, *self._folders} - {*files, *folders})
        for head, paths in (("gone", gone), ("folders", sorted(folders - self._folders))):
            for at in range(0, len(paths), _TOGETHER):
                yield {head: paths[at : at + _TOGETHER]}, b""
        for path, now in files.items():
            if self._files.get(path) == now:
                continue
            if (read := _read(folder, path)) is not None:
                content, mode = read
                yield {"file": path, "mode": mode, "mtime": now[0], "size": len(content)}, content
        self._files, self._folders = files, folders

    def take_in(self, folder: Path, records: Sequence[Record]) -> None:
        """Write what a run changed, as the container told it."""
        for head, content in records:
            for path in _names(head.get("gone")):
                _remove(folder, path)
                self._files.pop(path, None)
                self._folders.discard(path)
            for path in _names(head.get("folders")):
                with contextlib.suppress(OSError):
                    os.close(_open(folder, path.split("/"), make=True))
                    self._folders.add(path)
            for path in _names([head["file"]] if "file" in head else None):
                with contextlib.suppress(OSError):
                    self._files[path] = _write(folder, path, content, head.get("mode"))


def _signature(facts: os.stat_result) -> Signature:
    return facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_ctime_ns


def _names(paths: Any) -> list[str]:
    """The paths that lead nowhere but below the folder."""
    found = [path for path in cast(list[Any], paths) if isinstance(path, str)] if isinstance(paths, list) else []
    return [path for path in found if _leads_below(path)]


def _leads_below(path: str) -> bool:
    size = len(path.encode("utf-8", "replace"))
    return 0 < size <= LONGEST_PATH and "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Folders and ordinary files, each with its facts; caches are left out."""
    for above, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        folders[:] = [name for name in folders if name not in IGNORED]
        place = os.path.relpath(above, folder)
        for name in (*folders, *files):
            facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode):
                yield name if place == "." else f"{place}/{name}", facts


def _open(folder: Path, names: Sequence[str], make: bool = False) -> int:
    current = os.open(folder, _FOLDER)
    for name in names:
        try:
            if make:
                _clear_way(name, current)
            following = os.open(name, _FOLDER, dir_fd=current)
        finally:
            os.close(current)
        current = following
    return current


def _clear_way(name: str, parent: int) -> None:
    """A folder at `name`: what else stands there goes."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return
        os.unlink(name, dir_fd=parent)
    os.mkdir(name, 0o755, dir_fd=parent)


def _read(folder: Path, path: str) -> tuple[bytes, int] | None:
    *above, name = path.split("/")
    try:
        parent = _open(folder, above)
        try:
            file = os.open(name, _READ, dir_fd=parent)
        finally:
            os.close(parent)
        with open(file, "rb") as opened:
            facts = os.fstat(file)
            return opened.read(), facts.st_mode & 0o777
    except OSError:
        return None  # it went, or somebody may not read it


def _write(folder: Path, path: str, content: bytes, mode: Any) -> Signature:
    """Write beside and rename over, so that nothing that stood there is written through."""
    *above, name = path.split("/")
    parent = _open(folder, above, make=True)
    try:
        beside = f".{secrets.token_hex(8)}.agenthost"
        file = os.open(beside, _NEW, 0o600, dir_fd=parent)
        with open(file, "wb") as opened:
            opened.write(content)
            os.fchmod(file, mode & 0o777 if isinstance(mode, int) else 0o644)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=parent)
        os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
        return _signature(os.stat(name, dir_fd=parent, follow_symlinks=False))
    finally:
        os.close(parent)


def _remove(folder: Path, path: str) -> None:
    *above, name = path.split("/")
    with contextlib.suppress(OSError):
        parent = _open(folder, above)
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
        finally:
            os.close(parent)
