"""Opening the database: its settings, migrations, a cheap look for damage, and what SQLite's errors mean."""

import os
import sqlite3
from importlib import resources
from pathlib import Path

from agenthost.core.errors import AgentHostError, BadInput, NewerVersion, StoreDamaged, Temporary

APPLICATION = 0x41474854
"""`PRAGMA application_id` of our databases: "AGHT"."""

_WHOLE_CHECK = 2_000_000
"""Databases up to so many bytes are checked whole when opened (some milliseconds); others along their edges."""

_OF_THE_DISK = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}

_NOTHING_WRITTEN = "nothing of this step was written"


def connect(file: Path, *, reader: bool = False) -> sqlite3.Connection:
    """A connection with our settings: WAL, every commit on disk before it counts."""
    # Each connection is used by one lane's thread only, which isn't the thread that made it.
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=10)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")
        if reader:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            # What is removed or rewritten doesn't stay behind in the file.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA wal_autocheckpoint = 2000")
            connection.execute("PRAGMA journal_size_limit = 64000000")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_database(file: Path) -> sqlite3.Connection:
    """The writer's connection to a database that is there, whole, and of this version.

    Raises BadInput (can't be written), StoreDamaged or NewerVersion.
    """
    try:
        # The WAL's files take their mode from this one: what people said is for their own eyes.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise _not_writable(file, error.strerror or str(error)) from error
    try:
        connection = connect(file)
    except sqlite3.Error as error:
        raise meaning(error, file) from error
    try:
        _check(connection, file)
        _migrate(connection, file)
    except sqlite3.Error as error:
        connection.close()
        raise meaning(error, file) from error
    except AgentHostError:
        connection.close()
        raise
    return connection


def migrations() -> list[str]:
    """The scripts that make the schema, in order; the n-th makes version n."""
    folder = resources.files("agenthost.stores.sqlite").joinpath("migrations")
    return [
        entry.read_text("utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    ]


def _check(connection: sqlite3.Connection, file: Path) -> None:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION:
        if tables or application:
            raise BadInput(
                f"{file} is a database of another program, not AgentHost's; move it away, or choose another home with AGENTHOST_HOME",
                file=str(file),
            )
        return
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if pages * size <= _WHOLE_CHECK:
        for (found,) in connection.execute("PRAGMA quick_check(1)"):
            if found != "ok":
                raise damaged(file, found.splitlines()[-1])
    else:
        for table in tables:
            connection.execute(f'SELECT * FROM "{table}" LIMIT 1').fetchall()


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    scripts = migrations()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(scripts):
        raise NewerVersion(
            f"{file} was written by a newer AgentHost (format {version}, this one knows up to {len(scripts)}); "
            "upgrade AgentHost, or choose another home with AGENTHOST_HOME",
            file=str(file),
            version=version,
        )
    if version == len(scripts):
        return
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been quicker while we waited for the lock.
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(scripts[version:], version + 1):
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    found: list[str] = []
    begun = ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found


def damaged(file: Path, what: str) -> StoreDamaged:
    """The database can't be trusted."""
    return StoreDamaged(
        f"the database {file} is damaged ({what}); restore it from a backup, or move it away together with "
        f"{file.name}-wal and {file.name}-shm to start with an empty one",
        file=str(file),
    )


def _not_writable(file: Path, why: str) -> BadInput:
    return BadInput(
        f"the database {file} can't be written ({why}); make {file.parent} and the files in it writable "
        "for this user, or choose another home with AGENTHOST_HOME",
        file=str(file),
    )


def of_the_disk(error: Exception) -> bool:
    """Whether an error is about the file or the machine, and not about what was asked for."""
    return _code(error) in _OF_THE_DISK


def _code(error: Exception) -> int:
    # SQLite's extended codes keep the plain one in their lowest byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def meaning(error: Exception, file: Path) -> Exception:
    """What an error of SQLite is in our words; itself where it is a defect of ours."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE":
        return Temporary(
            f"the disk that holds {file} is full; {_NOTHING_WRITTEN}. Make room there, and it goes on",
            code="disk-full",
            file=str(file),
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(file, str(error))
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _not_writable(file, str(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Temporary(
            f"another process holds the database {file}; {_NOTHING_WRITTEN}. End that process, or wait",
            code="store-busy",
            file=str(file),
        )
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM):
        return Temporary(
            f"the database {file} could not be used ({error}); {_NOTHING_WRITTEN}. Look at the disk and the system's log",
            code="disk-error",
            file=str(file),
        )
    return error
