"""A month's figures out of the SQLite store's own file: triggers of the ledger keep them (see the migration)."""

import sqlite3
from typing import Any

from agenthost.core.usage import Dimension, UsageFilter, UsageRow, days
from agenthost.stores.rules import NANO
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore

_COLUMNS: dict[Dimension, str] = {
    "day": "date(day * 86400, 'unixepoch')",
    "month": "strftime('%Y-%m', day * 86400, 'unixepoch')",
    "person": "person",
    "agent": "agent",
    "model": "model",
}
_SUMS = "calls, turns, tokens, cost, unpriced, open_calls, open_tokens, open_cost"


class SQLiteUsages:
    """The port `core.usage.Usages`."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def usage(self, wanted: UsageFilter) -> list[UsageRow]:
        sql, values = _statement(wanted)
        return await self._store.read(_usage, sql, values, len(wanted.by))

    async def forget(self, namespace: str, person: str = "") -> None:
        await self._store.write(_forget, namespace, person)

    async def open_tasks(self) -> dict[str, int]:
        return await self._store.read(_counts, "open_tasks")

    async def held_tasks(self) -> dict[str, int]:
        return await self._store.read(_counts, "held_tasks")


def _statement(wanted: UsageFilter) -> tuple[str, list[Any]]:
    first, last = days(wanted)
    who = [(name, value) for name in ("person", "agent", "model") if (value := getattr(wanted, name))]
    conditions = "".join(f" AND {name} = ?" for name, _ in who)
    named = [value for _, value in who]
    keys = ", ".join(_COLUMNS[name] for name in wanted.by)
    values: list[Any] = [wanted.namespace, first, last, *named]
    values += [wanted.namespace, first * 86400, (last + 1) * 86400, *named]
    sql = f"""
        SELECT {keys}{", " if keys else ""}{", ".join(f"SUM({name})" for name in _SUMS.split(", "))} FROM (
          SELECT day, person, agent, model, {_SUMS} FROM usage WHERE namespace = ? AND day BETWEEN ? AND ?{conditions}
          UNION ALL
          SELECT CAST(at / 86400 AS INTEGER), person, agent, model, 0, 0, 0, 0, 0, 1, worst_tokens,
            CAST(ROUND(worst_cost * 1e9) AS INTEGER)
          FROM ledger WHERE settled = 0 AND namespace = ? AND at >= ? AND at < ?{conditions}
        ) {f"GROUP BY {keys}" if keys else ""} HAVING COUNT(*) > 0"""
    if wanted.after:
        sql += f" AND ({keys}) > ({', '.join('?' * len(wanted.after))})"
        values += wanted.after
    if keys:
        sql += f" ORDER BY {keys}"
    return f"{sql} LIMIT ?", [*values, wanted.limit]


def _usage(
    connection: sqlite3.Connection, statements: Statements, sql: str, values: list[Any], keys: int
) -> list[UsageRow]:
    return [_row(row[:keys], row[keys:]) for row in connection.execute(sql, values).fetchall()]


def _row(key: Row, sums: Row) -> UsageRow:
    calls, turns, tokens, cost, unpriced, open_calls, open_tokens, open_cost = sums
    return UsageRow(key, calls, turns, tokens, cost / NANO, unpriced, open_calls, open_tokens, open_cost / NANO)


def _counts(connection: sqlite3.Connection, statements: Statements, name: str) -> dict[str, int]:
    return dict(connection.execute(statements[name]).fetchall())


def _forget(connection: sqlite3.Connection, statements: Statements, namespace: str, person: str) -> None:
    connection.execute(statements["forget_usage"], (namespace, person))
