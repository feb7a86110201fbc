"""A connection to the database with our settings, and what SQLite's errors mean in our words."""

import sqlite3
from pathlib import Path

from agenthost.core.errors import BadInput, StoreDamaged, Temporary

APPLICATION = 0x41474854
"""`PRAGMA application_id` of our databases: "AGHT"."""

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
            connection.execute("PRAGMA wal_autocheckpoint = 2000")
            connection.execute("PRAGMA journal_size_limit = 64000000")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def damaged(file: Path, what: str) -> StoreDamaged:
    """The database can't be trusted."""
    return StoreDamaged(
        f"the database {file} is damaged ({what}); restore it from a backup, or move it away together with "
        f"{file.name}-wal and {file.name}-shm to start with an empty one",
        file=str(file),
    )


def not_writable(file: Path, why: str) -> BadInput:
    """The database may not be written."""
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
        return not_writable(file, str(error))
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
