"""Putting a back-up into a home."""

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput, NewerVersion
from agenthost.stores.backups import archive, home
from agenthost.stores.backups.archive import Head, Parts, Say
from agenthost.stores.durable import disk_errors, fsync_folder, replace_file
from agenthost.stores.home import RESTORING, HomeLock
from agenthost.stores.sqlite import snapshot
from agenthost.stores.sqlite.migrating import migrations


class Restored(Struct, frozen=True, omit_defaults=True):
    """What was put back, and where what was there before is now (empty: nothing was)."""

    head: Head
    aside: str = ""
    missing: tuple[str, ...] = ()


class _Way(Struct, frozen=True):
    """How far a restore has come, for the one after it where it was cut off: `inward` once all that was there is in
    `aside`."""

    aside: str
    inward: bool = False


def verify(path: Path, say: Say) -> tuple[Head, Parts]:
    """Read a back-up whole: every hash, and its database. Raises StoreDamaged, BadInput, NewerVersion."""
    with ExitStack() as stack:
        folder = _beside(path, stack)
        found = _unpack(path, folder, say, only_database=True)
        snapshot.check(folder / home.DATABASE)
    return found


def restore(path: Path, folder: Path, force: bool, say: Say) -> Restored:
    """Put a back-up into a home that no host holds: an empty one, or with `force` in the place of what is there.

    Everything is unpacked and checked beside it first. Raises HomeBusy, BadInput, StoreDamaged, NewerVersion,
    Temporary (`disk-full`).
    """
    lock = HomeLock(folder)
    lock.acquire(restoring=True)
    try:
        with disk_errors(folder):
            return _restore(path.absolute(), folder, force, say)
    finally:
        lock.release()


def _restore(path: Path, folder: Path, force: bool, say: Say) -> Restored:
    way = _way(folder)
    there = [name for name in sorted(os.listdir(folder)) if not home.stays(name) and name != RESTORING]
    if there and way is None and not force:
        raise BadInput(
            f"the home {folder} isn't empty ({', '.join(there[:4])}); choose another with --home, or give --force: "
            "what is there is kept beside it"
        )
    staging = folder / home.STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        head, parts = _unpack(path, staging, say)
        say("checking the database", 0, 1)
        snapshot.check(staging / home.DATABASE)
        # On disk before anything is moved: one call for many small files.
        os.sync()
        aside = _swap(folder, staging, there, way)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Restored(head, str(aside) if aside is not None else "", parts.missing)


def _swap(folder: Path, staging: Path, there: list[str], way: _Way | None) -> Path | None:
    """Move out what is there, and in what was unpacked. Cut off in between, the home isn't opened until it is done."""
    way = way or _Way(home.ASIDE + time.strftime("%Y%m%d-%H%M%S"))
    aside = folder / way.aside
    if there and not way.inward:
        aside.mkdir(mode=0o700, exist_ok=True)
    for name in there:
        if name == "host.sock":
            (folder / name).unlink(missing_ok=True)
        elif way.inward:
            # Of the restore that was cut off.
            _remove(folder / name)
        else:
            _mark(folder, way)
            os.rename(folder / name, aside / name)
    _mark(folder, _Way(way.aside, True))
    for name in sorted(os.listdir(staging / "home")) if (staging / "home").is_dir() else []:
        os.rename(staging / "home" / name, folder / name)
    for name in ("blobs", home.DATABASE):
        if (staging / name).exists():
            os.rename(staging / name, folder / name)
    fsync_folder(folder)
    folder.chmod(0o700)
    (folder / RESTORING).unlink()
    fsync_folder(folder)
    return aside if aside.is_dir() else None


def _mark(folder: Path, way: _Way) -> None:
    replace_file(folder / RESTORING, msgspec.json.encode(way), 0o600)


def _way(folder: Path) -> _Way | None:
    try:
        return msgspec.json.decode((folder / RESTORING).read_bytes(), type=_Way)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unpack(path: Path, folder: Path, say: Say, only_database: bool = False) -> tuple[Head, Parts]:
    head = archive.head(path)
    known = len(migrations())
    if head.database > known:
        raise NewerVersion(
            f"{path} holds a database of format {head.database} (of AgentHost {head.version}), and this AgentHost knows "
            f"up to {known}; upgrade it"
        )
    if not only_database and (free := shutil.disk_usage(folder).free) < head.bytes:
        raise BadInput(
            f"the back-up needs {head.bytes / 1e6:.0f} MB, and the disk of {folder} has {free / 1e6:.0f} MB free; make room"
        )

    def take(name: str) -> Path | None:
        return None if only_database and name != home.DATABASE else folder / name

    return archive.read(path, say, take)


def _beside(path: Path, stack: ExitStack) -> Path:
    import tempfile

    place = str(path.parent) if os.access(path.parent, os.W_OK) else None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".verify-", dir=place)))
