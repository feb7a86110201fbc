"""Counts what the SQLite store has."""

import sqlite3
from collections import Counter

from agenthost.core.stock import Census
from agenthost.stores.rules import FEW
from agenthost.stores.sqlite.statements import Statements
from agenthost.stores.sqlite.store import SQLiteStore


class SQLiteStock:
    """The port `core.stock.Stock`, read by the store's one reader."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def census(self, now: float, quiet: float, soon: float) -> Census:
        return await self._store.read(_census, now, quiet, soon)


def _census(connection: sqlite3.Connection, statements: Statements, now: float, quiet: float, soon: float) -> Census:
    states: dict[str, int] = {}
    holds = Counter[str]()
    oldest = 0.0
    for state, hold, count, first in connection.execute(statements["unfinished"]).fetchall():
        if hold:
            holds[hold] += count
        else:
            states[state] = count
            oldest = first if state == "submitted" else oldest
    last = connection.execute(statements["last_event"]).fetchone()
    expired, expiring = connection.execute(statements["expiring"], (now, now, now + soon)).fetchone()
    return Census(
        states,
        holds["dead-letter"],
        dict(connection.execute(statements["held"], (FEW,)).fetchall()) if holds["dead-letter"] else {},
        tuple(id for (id,) in connection.execute(statements["quiet"], (now - quiet, FEW)).fetchall()),
        oldest,
        last[0] if last else 0.0,
        expired or 0,
        expiring or 0,
        holds["paused"],
    )
