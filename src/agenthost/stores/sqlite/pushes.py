"""Addresses for push notifications, in the SQLite store's own file."""

import sqlite3

import msgspec
from msgspec.structs import astuple, replace

from agenthost.core.pushes import Push
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore


class SQLitePushes:
    """The port `core.pushes.Pushes`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def put(self, push: Push) -> None:
        await self._store.write(_put, push)

    async def of(self, task: str) -> list[Push]:
        return await self._store.read(_all, "pushes_of", (task,))

    async def open(self) -> list[Push]:
        return await self._store.read(_all, "pushes_open", ())

    async def told(self, task: str, id: str, seen: dict[str, int], done: bool) -> None:
        await self._store.write(_told, task, id, seen, done)

    async def delete(self, task: str, id: str) -> bool:
        return await self._store.write(_delete, task, id)


def _read(row: Row) -> Push:
    *fields, seen, done = row
    return Push(*fields, seen=msgspec.json.decode(seen, type=dict[str, int]), done=bool(done))


def _put(connection: sqlite3.Connection, statements: Statements, push: Push) -> None:
    seen = msgspec.json.encode(push.seen).decode()
    connection.execute(statements["put_push"], astuple(replace(push, seen=seen)))


def _all(connection: sqlite3.Connection, statements: Statements, name: str, values: Row) -> list[Push]:
    found = [_read(row) for row in connection.execute(statements[name], values).fetchall()]
    return sorted(found, key=lambda push: (push.created, push.task, push.id))


def _told(
    connection: sqlite3.Connection, statements: Statements, task: str, id: str, seen: dict[str, int], done: bool
) -> None:
    connection.execute(statements["push_told"], (task, id, msgspec.json.encode(seen).decode(), done))


def _delete(connection: sqlite3.Connection, statements: Statements, task: str, id: str) -> bool:
    return connection.execute(statements["delete_push"], (task, id)).rowcount == 1
