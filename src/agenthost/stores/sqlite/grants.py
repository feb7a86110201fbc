"""Grants, in the SQLite store's own file."""

import sqlite3

import msgspec

from agenthost.core.grants import Grant, GrantUse, Rule, Use
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore

_rules = msgspec.json.Decoder(dict[str, Rule])


class SQLiteGrants:
    """The port `core.grants.Grants`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def put(self, grant: Grant) -> None:
        await self._store.write(_put, grant)

    async def get(self, id: str) -> Grant | None:
        found = await self._store.read(_list, "grant", id)
        return found[0] if found else None

    async def of(self, namespace: str, person: str = "") -> list[Grant]:
        if not person:
            return await self._store.read(_list, "grants_of_all", namespace)
        return await self._store.read(_list, "grants_of", namespace, person)

    async def matching(self, namespace: str, person: str, kind: str, name: str, tool: str) -> list[Grant]:
        return await self._store.read(_list, "grants_for", namespace, person, kind, name, tool)

    async def use(self, id: str, use: GrantUse) -> Use:
        return await self._store.write(_use, id, use)

    async def uses(self, id: str, limit: int = 50) -> list[GrantUse]:
        return await self._store.read(_uses, id, limit)

    async def delete(self, id: str) -> bool:
        return await self._store.write(_delete, id)


def _grant(row: Row) -> Grant:
    id, namespace, person, kind, name, tool, by, at, rules, anything, untrusted, *rest = row
    return Grant(
        id, namespace, person, kind, name, tool, by, at, _rules.decode(rules), bool(anything), bool(untrusted), *rest
    )


def _put(connection: sqlite3.Connection, statements: Statements, grant: Grant) -> None:
    row = msgspec.structs.replace(grant, rules=msgspec.json.encode(grant.rules).decode())
    connection.execute(statements["put_grant"], msgspec.structs.astuple(row))


def _list(connection: sqlite3.Connection, statements: Statements, name: str, *values: str) -> list[Grant]:
    return [_grant(row) for row in connection.execute(statements[name], values).fetchall()]


def _use(connection: sqlite3.Connection, statements: Statements, id: str, use: GrantUse) -> Use:
    noted = connection.execute(statements["use_grant"], (id, use.task, use.question, use.seq, use.at)).rowcount == 1
    if noted:
        connection.execute(statements["count_grant"], (use.at, id))
        return "used"
    return "again" if connection.execute(statements["grant"], (id,)).fetchone() else "gone"


def _uses(connection: sqlite3.Connection, statements: Statements, id: str, limit: int) -> list[GrantUse]:
    return [GrantUse(*row) for row in connection.execute(statements["grant_uses"], (id, limit)).fetchall()]


def _delete(connection: sqlite3.Connection, statements: Statements, id: str) -> bool:
    return connection.execute(statements["delete_grant"], (id,)).rowcount == 1
