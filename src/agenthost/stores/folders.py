"""A person's own folder as a workspace: take its files in, and put changes back where nothing else changed.

The folder is the person's, so its modes, its links and what else is in it stay as they are.
"""

import asyncio
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.core.ports import Blobs
from agenthost.stores import beneath
from agenthost.stores.durable import disk_errors, write_all
from agenthost.stores.tree import IGNORED, WorkspaceLimits

SKIPPED = IGNORED | {".git", ".hg", ".svn", ".venv", "venv", "node_modules", ".tox", ".nox"}
"""Folders that are not taken in: histories, environments and caches. They stay as they are."""


class Imported(Struct, frozen=True):
    """What was taken in, path to digest (each is a blob by now), and what was left out, with the reason."""

    files: dict[str, str]
    skipped: tuple[str, ...]


class Applied(Struct, frozen=True):
    """What was put back. Where there are conflicts, nothing was."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


async def import_folder(folder: Path, blobs: Blobs, limits: WorkspaceLimits | None = None) -> Imported:
    """Keep a folder's files as blobs. Links, devices and the folders of `SKIPPED` are left out.

    Raises NotFound, and BadInput beyond the limits.
    """
    limits = limits or WorkspaceLimits()
    paths, skipped = await asyncio.to_thread(_list, folder, limits)
    files: dict[str, str] = {}
    for path in paths:
        content = await asyncio.to_thread(_read, folder, path, limits.file)
        if content is None:
            skipped.append(f"{path} (it can't be read)")
        else:
            files[path] = await blobs.put(content)
    return Imported(files, tuple(skipped))


async def apply_folder(folder: Path, before: Mapping[str, str], after: Mapping[str, str], blobs: Blobs) -> Applied:
    """Make the change from `before` to `after` (path to digest) in a folder, each file in one step.

    A file that is neither as it was in `before` nor as `after` wants it is a conflict: somebody
    changed it meanwhile. With any conflict nothing is written. Raises Temporary (`disk-full`), Unavailable.
    """
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    going = frozenset(path for path in changed if path not in after)
    conflicts: list[str] = []
    todo: list[str] = []
    for path in changed:
        there = await asyncio.to_thread(_digest, folder, path, going)
        if there == after.get(path, ""):
            continue
        if there != before.get(path, ""):
            conflicts.append(path)
        todo.append(path)
    if conflicts:
        return Applied(conflicts=tuple(conflicts))
    # What is removed goes first: a file may make room for a folder of its name.
    removed = [path for path in todo if path not in after]
    written = [path for path in todo if path in after]
    for path in removed:
        await asyncio.to_thread(_remove, folder, path)
    for path in written:
        content = await blobs.get(after[path])
        await asyncio.to_thread(_write, folder, path, content)
    return Applied(tuple(written), tuple(removed))


def _open(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no folder {folder}; give one that exists") from None
    except NotADirectoryError:
        raise BadInput(f"{folder} is not a folder; give the folder that it is in") from None


def _list(folder: Path, limits: WorkspaceLimits) -> tuple[list[str], list[str]]:
    os.close(_open(folder))
    files: list[str] = []
    skipped: list[str] = []
    waiting = [""]
    total = 0
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(folder / prefix) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(f"{prefix} ({os.strerror(error.errno or 0)})")
            continue
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name in SKIPPED:
                    skipped.append(f"{path}/ (history, environment or cache)")
                else:
                    waiting.append(path + "/")
            elif (reason := _unfit(entry, path, limits)) is not None:
                skipped.append(f"{path!a} ({reason})")
            else:
                files.append(path)
                total += entry.stat(follow_symlinks=False).st_size
                _check(folder, len(files), total, limits)
    return sorted(files), skipped


def _unfit(entry: "os.DirEntry[str]", path: str, limits: WorkspaceLimits) -> str | None:
    if entry.is_symlink():
        return "a link"
    if not entry.is_file(follow_symlinks=False):
        return "a device, a pipe or a socket"
    try:
        beneath.components(path)
    except BadInput:
        return "its name can't be used in a workspace"
    if entry.stat(follow_symlinks=False).st_size > limits.file:
        return f"larger than {limits.file:,} bytes"
    return None


def _check(folder: Path, count: int, total: int, limits: WorkspaceLimits) -> None:
    if count > limits.files:
        raise BadInput(f"{folder} has more than {limits.files:,} files; give a smaller folder")
    if total > limits.total:
        raise BadInput(f"{folder} has more than {limits.total:,} bytes; give a smaller folder")


def _read(folder: Path, path: str, most: int) -> bytes | None:
    root = _open(folder)
    try:
        with beneath.opened(root, beneath.components(path), unlocking=False) as (file, _):
            content = beneath.read_all(file, most)
            return content if len(content) <= most else None
    except (BadInput, PermissionError):
        return None
    finally:
        os.close(root)


def _digest(folder: Path, path: str, going: frozenset[str]) -> str:
    """The digest of what is there; empty where nothing is, or only what is `going`; `unreadable` where it is
    no ordinary file."""
    root = _open(folder)
    try:
        with beneath.opened(root, beneath.components(path), unlocking=False) as (file, facts):
            return digest(beneath.read_all(file, facts.st_size + 1))
    except NotFound:
        return ""
    except (BadInput, PermissionError):
        return "" if _makes_room(folder, path, going) else "unreadable"
    finally:
        os.close(root)


def _makes_room(folder: Path, path: str, going: frozenset[str]) -> bool:
    """Whether a file above `path`, or every file in a folder at `path`, is going."""
    if any(path[:at] in going for at, letter in enumerate(path) if letter == "/"):
        return True
    place = folder / path
    if place.is_symlink() or not place.is_dir():
        return False
    inside = [Path(above, name).relative_to(folder) for above, _, names in os.walk(place) for name in names]
    return all(inner.as_posix() in going for inner in inside)


def _write(folder: Path, path: str, content: bytes) -> None:
    names = beneath.components(path)
    root = _open(folder)
    try:
        with disk_errors(folder):
            inner = beneath.open_folder(root, names[:-1], make=True, mode=None)
            try:
                _replace(inner, names[-1], content)
            finally:
                os.close(inner)
    finally:
        os.close(root)


def _replace(folder: int, name: str, content: bytes) -> None:
    temporary = f".{secrets.token_hex(12)}.tmp"
    executable = content[:2] == b"#!"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o777 if executable else 0o666, dir_fd=folder)  # less the umask
    try:
        write_all(file, content)
        with suppress(FileNotFoundError):
            os.fchmod(file, stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode))
        os.fsync(file)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(file)


def _remove(folder: Path, path: str) -> None:
    names = beneath.components(path)
    root = _open(folder)
    try:
        with disk_errors(folder):
            inner = beneath.open_folder(root, names[:-1])
            try:
                os.unlink(names[-1], dir_fd=inner)
            finally:
                os.close(inner)
            for depth in range(len(names) - 1, 0, -1):
                _prune(root, names[:depth])
    finally:
        os.close(root)


def _prune(root: int, names: tuple[str, ...]) -> None:
    # A folder that became empty goes with its last file, as in the workspace.
    with suppress(OSError, NotFound):
        above = beneath.open_folder(root, names[:-1])
        try:
            os.rmdir(names[-1], dir_fd=above)
        finally:
            os.close(above)
