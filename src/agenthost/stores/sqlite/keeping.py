"""What is kept beside journals, in the SQLite store's own file."""

import sqlite3
from typing import Any

from msgspec.structs import astuple

from agenthost.core.keeping import KeptAnswer, PlacedEvent, UsageFilter, UsageLine, Version
from agenthost.core.ports import StoredEvent
from agenthost.stores.sqlite.statements import Statements
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.stores.sqlite.usage import adding_up

LOOKED_AT = 5000
"""Events that one page of everybody's looks at, at most: a person of few tasks mustn't hold up the others' reads."""

_NO_END = 2**62


class SQLiteKeeping:
    """The port `core.keeping.Keeping`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def versions(self, kind: str, name: str, namespace: str, before: int = 0, limit: int = 50) -> list[Version]:
        return await self._store.read(_versions, namespace, kind, name, before or _NO_END, limit)

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        return await self._store.read(_usage, wanted)

    async def open_tasks(self) -> dict[str, int]:
        return await self._store.read(_counts, "open_tasks")

    async def held_tasks(self) -> dict[str, int]:
        return await self._store.read(_counts, "held_tasks")

    async def begin_answer(self, key: str, answer: KeptAnswer, since: float) -> KeptAnswer | None:
        return await self._store.write(_begin_answer, key, answer, since)

    async def end_answer(self, key: str, answer: KeptAnswer | None) -> None:
        await self._store.write(_end_answer, key, answer)

    async def changed(self) -> dict[str, bytes]:
        return await self._store.read(_changed)

    async def change(self, values: dict[str, bytes | None]) -> None:
        await self._store.write(_change, values)

    async def newest(self) -> int:
        return await self._store.read(_newest)

    async def placed(
        self, after: int, namespace: str, person: str = "", limit: int = 500
    ) -> tuple[list[PlacedEvent], int]:
        return await self._store.read(_placed, after, namespace, person, limit)


def _versions(connection: sqlite3.Connection, statements: Statements, *wanted: Any) -> list[Version]:
    return [Version(*row) for row in connection.execute(statements["manifest_versions"], wanted).fetchall()]


def _usage(connection: sqlite3.Connection, statements: Statements, wanted: UsageFilter) -> list[UsageLine]:
    sql, values = adding_up(wanted)
    return [UsageLine(*row) for row in connection.execute(sql, values).fetchall()]


def _counts(connection: sqlite3.Connection, statements: Statements, name: str) -> dict[str, int]:
    return dict(connection.execute(statements[name]).fetchall())


def _begin_answer(
    connection: sqlite3.Connection, statements: Statements, key: str, answer: KeptAnswer, since: float
) -> KeptAnswer | None:
    row = connection.execute(statements["given_answer"], (key,)).fetchone()
    found = KeptAnswer(*row) if row else None
    if found is not None and found.at >= since and (found.status or found.maker == answer.maker):
        return found
    connection.execute(statements["put_answer"], (key, *astuple(answer)))
    return None


def _end_answer(connection: sqlite3.Connection, statements: Statements, key: str, answer: KeptAnswer | None) -> None:
    if answer is None:
        connection.execute(statements["forget_answer"], (key,))
    else:
        connection.execute(statements["put_answer"], (key, *astuple(answer)))


def _changed(connection: sqlite3.Connection, statements: Statements) -> dict[str, bytes]:
    return dict(connection.execute(statements["changed_settings"]).fetchall())


def _change(connection: sqlite3.Connection, statements: Statements, values: dict[str, bytes | None]) -> None:
    for name, value in values.items():
        if value is None:
            connection.execute(statements["setting_as_given"], (name,))
        else:
            connection.execute(statements["change_setting"], (name, value))


def _newest(connection: sqlite3.Connection, statements: Statements) -> int:
    return connection.execute(statements["newest_event"]).fetchone()[0]


def _placed(
    connection: sqlite3.Connection, statements: Statements, after: int, namespace: str, person: str, limit: int
) -> tuple[list[PlacedEvent], int]:
    upto = min(after + LOOKED_AT, max(after, _newest(connection, statements)))
    rows = connection.execute(statements["placed_events"], (after, upto, namespace, person, limit)).fetchall()
    found = [PlacedEvent(place, task, StoredEvent(*rest)) for place, task, *rest in rows]
    return found, found[-1].place if len(found) >= limit else upto
