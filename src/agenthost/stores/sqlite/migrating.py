"""The database's format: the scripts that make it, and the copy that is kept before they change what somebody has.

A copy is `agenthost.db.before-N`: the whole database as it was before it had format N. It is the way back for the version of
AgentHost that was used before.
"""

import os
import re
import secrets
import sqlite3
import time
from contextlib import closing
from importlib import resources
from pathlib import Path

from msgspec import Struct

from agenthost.core.errors import NewerVersion
from agenthost.stores.durable import fsync_folder
from agenthost.stores.sqlite import snapshot
from agenthost.stores.sqlite.link import APPLICATION, connect

KEPT = 2
"""Copies that are kept: those before the newest formats."""


class Migrated(Struct, frozen=True):
    """A database was brought from one format to another, in so many seconds; `kept` is the copy of what it was."""

    before: int
    after: int
    seconds: float
    kept: str


class Copy(Struct, frozen=True):
    """A copy of a database as it was before it had the format `before`; its own is `format`. `size` in bytes, `made`
    in seconds since the epoch."""

    file: str
    before: int
    format: int
    size: int
    made: float


def migrations() -> list[str]:
    """The scripts that make the schema, in order; the n-th makes version n."""
    folder = resources.files("agenthost.stores.sqlite").joinpath("migrations")
    return [
        entry.read_text("utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    ]


def names() -> list[str]:
    """What the scripts are called, in order."""
    folder = resources.files("agenthost.stores.sqlite").joinpath("migrations")
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))


def migrate(connection: sqlite3.Connection, file: Path) -> Migrated | None:
    """Bring a database to this version's format, after a copy of it was put beside it. None where it is of that format,
    or new. Raises NewerVersion, and what `snapshot.copy` raises: then nothing was changed."""
    scripts = migrations()
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    known = len(scripts)
    if version > known:
        back = next((copy for copy in copies(file) if copy.format <= known), None)
        way = f"have what was there before put back (agenthost upgrade --back: {back.file}), " if back else ""
        raise NewerVersion(
            f"{file} was written by a newer AgentHost (format {version}, this one knows up to {known}); "
            f"upgrade AgentHost, {way}or choose another home with AGENTHOST_HOME",
            file=str(file),
            version=version,
        )
    if version == known:
        return None
    began = time.monotonic()
    kept = keep(file, known) if version else None
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been quicker while we waited for the lock.
    now: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(scripts[now:], now + 1):
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("COMMIT")
    if kept is None:
        return None
    forget(file)
    return Migrated(version, known, time.monotonic() - began, str(kept))


def keep(file: Path, known: int) -> Path:
    """Copy a database to where the way back is, whole and synced, before it gets the format `known`."""
    _sweep(file)
    target = file.with_name(f"{file.name}.before-{known}")
    part = file.with_name(f"{file.name}.copy-{secrets.token_hex(4)}.part")
    snapshot.copy(file, part)
    try:
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    fsync_folder(file.parent)
    return target


def copies(file: Path) -> list[Copy]:
    """The copies of a database that are kept, newest format first."""
    found: list[Copy] = []
    for path in file.parent.glob(f"{file.name}.before-*"):
        if number := re.fullmatch(re.escape(file.name) + r"\.before-(\d+)", path.name):
            about = path.stat()
            found.append(Copy(str(path), int(number[1]), _format(path), about.st_size, about.st_mtime))
    return sorted(found, key=lambda each: each.before, reverse=True)


def _format(file: Path) -> int:
    try:
        with closing(connect(file, reader=True)) as connection:
            return connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return 1 << 30  # of no format that anybody knows


def forget(file: Path) -> None:
    """Remove all copies but the newest, and what a copying that was killed left."""
    for copy in copies(file)[KEPT:]:
        Path(copy.file).unlink(missing_ok=True)
    _sweep(file)


def _sweep(file: Path) -> None:
    """Remove what a copying that was killed left: the next one needs the room."""
    for left in file.parent.glob(f"{file.name}.copy-*.part*"):
        left.unlink(missing_ok=True)


def _statements(script: str) -> list[str]:
    found: list[str] = []
    begun = ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found
