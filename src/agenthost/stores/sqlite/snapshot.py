"""Copies of a database that is in use: whole, as of the moment that the copying began."""

import os
import re
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.stores.sqlite.link import APPLICATION, connect, damaged, meaning

STEP = 1024
"""Pages that are copied at once: 4 MiB of an ordinary database."""

DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_SHELVED = b'{"$blob":"'

Tell = Callable[[int, int], None]
"""Hears how much of how much is done, and may raise to have it end there."""


class Facts(Struct, frozen=True):
    """What a database says of itself. `format`: how many migrations made it. `counts`: rows by table."""

    format: int
    tasks: int
    unfinished: int
    counts: dict[str, int]


class Named(Struct, frozen=True):
    """The content hashes in a database. `needed`: those of files that tasks work on and of events that were put
    aside (`shelved`). `mentioned`: all others; some are of other things than files."""

    needed: frozenset[str]
    shelved: frozenset[str]
    mentioned: frozenset[str]


@contextmanager
def _opened(file: Path, *, reader: bool = True) -> Generator[sqlite3.Connection]:
    try:
        with closing(connect(file, reader=reader)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise meaning(error, file) from error


def copy(source: Path, target: Path, tell: Tell = lambda done, total: None) -> None:
    """Copy a database, with what is in its WAL, to a new file of mode 0600, synced; whoever writes goes on meanwhile.

    It is SQLite's online backup over one read transaction: nothing is copied twice however much is written, and
    the WAL grows for as long as it takes. Raises BadInput where there is no database, StoreDamaged, Temporary (`disk-full`).
    """
    if not source.is_file():
        raise BadInput(f"there is no database {source}; name another home with --home, or AGENTHOST_HOME")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with _opened(source) as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            with closing(sqlite3.connect(target, isolation_level=None)) as writing:
                # A copy that is cut off is removed: it needs no journal of its own.
                writing.execute("PRAGMA synchronous = OFF")
                reading.backup(writing, pages=STEP, progress=lambda _, left, total: tell(total - left, total))
                # Without a WAL the one file is the whole database.
                writing.execute("PRAGMA journal_mode = DELETE")
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException as error:
        for left in (target, Path(f"{target}-wal"), Path(f"{target}-shm"), Path(f"{target}-journal")):
            left.unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise meaning(error, target) from error
        raise


def check(file: Path) -> None:
    """Read a database whole. Raises StoreDamaged, or BadInput where it is another program's."""
    with _opened(file) as connection:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise BadInput(f"{file} is no database of AgentHost's; name one that is")
        for (found,) in connection.execute("PRAGMA integrity_check(1)"):
            if found != "ok":
                raise damaged(file, str(found).splitlines()[-1])


def facts(file: Path) -> Facts:
    """What a database says of itself."""
    with _opened(file) as connection:
        counts = {table: _number(connection, f'SELECT count(*) FROM "{table}"') for table in _tables(connection)}
        unfinished = _number(connection, "SELECT count(*) FROM tasks WHERE ended = 0") if "tasks" in counts else 0
        return Facts(_number(connection, "PRAGMA user_version"), counts.get("tasks", 0), unfinished, counts)


def named(file: Path, tell: Tell = lambda done, total: None) -> Named:
    """The content hashes that a database names, wherever in it: tables that come later are looked at too."""
    needed: set[str] = set()
    shelved: set[str] = set()
    mentioned: set[str] = set()
    with _opened(file) as connection:
        for table in _tables(connection):
            if table == "files":
                needed.update(digest for (digest,) in connection.execute("SELECT DISTINCT digest FROM files"))
                continue
            for value in _values(connection, table, tell):
                if value.startswith(_SHELVED):
                    shelved.add(value[len(_SHELVED) : -2].decode())
                else:
                    mentioned.update(found.decode() for found in DIGEST.findall(value))
    needed |= shelved
    return Named(frozenset(needed), frozenset(shelved), frozenset(mentioned - needed))


def _values(connection: sqlite3.Connection, table: str, tell: Tell) -> Iterator[bytes]:
    columns = [
        name
        for _, name, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")')
        if kind.upper() not in ("INTEGER", "REAL")
    ]
    if not columns:
        return
    listed = ", ".join(f'"{name}"' for name in columns)
    total = _number(connection, f'SELECT count(*) FROM "{table}"')
    for number, row in enumerate(connection.execute(f'SELECT {listed} FROM "{table}"')):
        if not number % 1000:
            tell(number, total)
        for value in row:
            if isinstance(value, bytes):
                yield value
            elif isinstance(value, str):
                yield value.encode("utf-8", "surrogatepass")


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return sorted(name for (name,) in found)


def _number(connection: sqlite3.Connection, statement: str) -> int:
    return connection.execute(statement).fetchone()[0]
