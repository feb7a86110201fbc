"""Tasks that were done elsewhere, in the SQLite store's own file."""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from agenthost.core.importing import Foreign
from agenthost.stores.sqlite.statements import Statements
from agenthost.stores.sqlite.store import SQLiteStore


class SQLiteImports:
    """The port `core.importing.Imports`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def take_in(self, tasks: Sequence[Foreign], files: Mapping[str, Mapping[str, str]]) -> bool:
        return await self._store.write(_take_in, tasks, files)


def _take_in(
    connection: sqlite3.Connection,
    statements: Statements,
    tasks: Sequence[Foreign],
    files: Mapping[str, Mapping[str, str]],
) -> bool:
    for task in tasks:
        if connection.execute(statements["task_place"], (task.row.id,)).fetchone() is not None:
            return False
    rows: list[tuple[object, ...]] = []
    for task in tasks:
        *fields, conversation = msgspec.structs.astuple(task.row)
        # Whatever state it is in: nothing more happens to it.
        rows.append((*fields, True, conversation))
    list(statements.read(connection, "create_task", rows))
    # What happened elsewhere is no news.
    connection.executemany(statements["unmark_told"], [(task.row.id,) for task in tasks])
    events = [
        (task.row.id, each.seq, each.at, each.kind, each.version, each.body) for task in tasks for each in task.events
    ]
    statements.write(connection, "add_events", events)
    named = [(workspace, path, digest) for workspace, listed in files.items() for path, digest in listed.items()]
    connection.executemany(statements["set_file"], named)
    return True
