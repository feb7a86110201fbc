"""What is kept beside journals, in the SQLite store's own file."""

import sqlite3
from typing import Any

from msgspec.structs import astuple

from agenthost.core.keeping import DIMENSIONS, KeptAnswer, PlacedEvent, UsageFilter, UsageLine, Version
from agenthost.core.ports import StoredEvent
from agenthost.stores.sqlite.statements import Statements
from agenthost.stores.sqlite.store import SQLiteStore

LOOKED_AT = 5000
"""Events that one page of everybody's looks at, at most: a person of few tasks mustn't hold up the others' reads."""

_NO_END = 2**62
_COLUMNS = {"task": "root", "agent": "agent", "person": "person", "model": "model", "day": "date(at, 'unixepoch')"}


class SQLiteKeeping:
    """The port `core.keeping.Keeping`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def versions(self, kind: str, name: str, namespace: str, before: int = 0, limit: int = 50) -> list[Version]:
        return await self._store.read(_versions, namespace, kind, name, before or _NO_END, limit)

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        return await self._store.read(_usage, wanted)

    async def begin_answer(self, key: str, answer: KeptAnswer, since: float) -> KeptAnswer | None:
        return await self._store.write(_begin_answer, key, answer, since)

    async def end_answer(self, key: str, answer: KeptAnswer | None) -> None:
        await self._store.write(_end_answer, key, answer)

    async def sweep_answers(self, before: float) -> int:
        return await self._store.write(_sweep_answers, before)

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


def adding_up(wanted: UsageFilter) -> tuple[str, list[Any]]:
    """The statement that adds usage up, and its values."""
    conditions, values = ["namespace = ?"], [wanted.namespace]
    given: dict[str, Any] = {
        "root = ?": wanted.task,
        "agent = ?": wanted.agent,
        "person = ?": wanted.person,
        "model = ?": wanted.model,
        "at >= ?": wanted.since,
        "at < ?": wanted.until,
    }
    for condition, value in given.items():
        if value:
            conditions.append(condition)
            values.append(value)
    columns = ", ".join(_COLUMNS[name] if name in wanted.by else "''" for name in DIMENSIONS)
    groups = ", ".join(_COLUMNS[name] for name in wanted.by)
    sums = (
        "count(*), coalesce(sum(coalesce(spent_tokens, worst_tokens)), 0) AS tokens, "
        "coalesce(sum(coalesce(spent_cost, worst_cost)), 0.0) AS cost, coalesce(sum(settled = 0), 0), coalesce(sum(priced = 0), 0)"
    )
    return (
        f"SELECT {sums}, {columns} FROM ledger WHERE {' AND '.join(conditions)} {f'GROUP BY {groups}' if groups else ''} "
        f"ORDER BY cost DESC, tokens DESC, {', '.join(str(5 + n) for n in range(1, 6))} LIMIT ?"
    ), [*values, wanted.limit]


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


def _sweep_answers(connection: sqlite3.Connection, statements: Statements, before: float) -> int:
    return connection.execute(statements["sweep_answers"], (before,)).rowcount


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
