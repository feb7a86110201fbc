"""Things that clients keep, in the SQLite store's own file."""

import sqlite3

import msgspec

from agenthost.core.shelf import Thing
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore


class SQLiteShelf:
    """The port `core.shelf.Shelf`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def put(self, things: list[Thing]) -> None:
        await self._store.write(_put, things)

    async def get(self, kind: str, id: str) -> Thing | None:
        found = await self._store.read(_all, "thing", (kind, id))
        return found[0] if found else None

    async def of(
        self, namespace: str, person: str, kind: str, within: str = "", after: int = 0, limit: int = 100
    ) -> list[Thing]:
        name = "things_before" if after < 0 else "things_after"
        return await self._store.read(_all, name, (namespace, person, kind, within, abs(after), limit))

    async def count(self, namespace: str, person: str, kind: str, within: str = "") -> int:
        return await self._store.read(_count, (namespace, person, kind, within))

    async def delete(self, kind: str, id: str) -> bool:
        return await self._store.write(_delete, kind, id)


def _put(connection: sqlite3.Connection, statements: Statements, things: list[Thing]) -> None:
    for each in things:
        files = msgspec.json.encode(each.files).decode()
        values = (each.kind, each.id, each.namespace, each.person, each.created, each.body, each.within, files)
        (place,) = connection.execute(statements["put_thing"], values).fetchone()
        connection.executemany(statements["hold_file"], [(digest, place) for digest in each.files])


def _all(connection: sqlite3.Connection, statements: Statements, name: str, values: Row) -> list[Thing]:
    return [_read(row) for row in connection.execute(statements[name], values).fetchall()]


def _read(row: Row) -> Thing:
    kind, id, namespace, person, created, body, within, files, place = row
    kept = tuple(msgspec.json.decode(files))
    return Thing(kind, id, namespace, person, created, bytes(body), within, kept, place)


def _count(connection: sqlite3.Connection, statements: Statements, values: Row) -> int:
    return connection.execute(statements["count_things"], values).fetchone()[0]


def _delete(connection: sqlite3.Connection, statements: Statements, kind: str, id: str) -> bool:
    if not connection.execute(statements["delete_thing"], (kind, id)).rowcount:
        return False
    connection.execute(statements["delete_within"], (id,))
    return True
