"""Opening the database: made where it is missing, looked at for damage, cheaply, and brought to this version's format."""

import os
import sqlite3
from pathlib import Path

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.stores.sqlite.link import APPLICATION, connect, damaged, meaning, not_writable
from agenthost.stores.sqlite.migrating import Migrated, migrate

_WHOLE_CHECK = 2_000_000
"""Databases up to so many bytes are checked whole when opened (some milliseconds); others along their edges."""


def open_database(file: Path) -> sqlite3.Connection:
    """The writer's connection to a database that is there, whole, and of this version. Raises as `open_migrated` does."""
    return open_migrated(file)[0]


def open_migrated(file: Path) -> tuple[sqlite3.Connection, Migrated | None]:
    """The same, and what was done where the database was of an older format.

    Raises BadInput (can't be written), StoreDamaged, NewerVersion, or Temporary (`disk-full`).
    """
    try:
        # The WAL's files take their mode from this one: what people said is for their own eyes.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise not_writable(file, error.strerror or str(error)) from error
    try:
        connection = connect(file)
    except sqlite3.Error as error:
        raise meaning(error, file) from error
    try:
        _check(connection, file)
        migrated = migrate(connection, file)
    except sqlite3.Error as error:
        connection.close()
        raise meaning(error, file) from error
    except AgentHostError:
        connection.close()
        raise
    return connection, migrated


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
