"""Webhooks and their deliveries, in the SQLite store's own file."""

import sqlite3
from collections.abc import Sequence

import msgspec

from agenthost.core.webhooks import Delivery, Mark, Webhook
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore

_NO_END = 2**62


class SQLiteWebhooks:
    """The port `core.webhooks.Webhooks`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def put(self, webhook: Webhook) -> None:
        await self._store.write(_put, webhook)

    async def get(self, id: str) -> Webhook | None:
        return await self._store.read(_get, id)

    async def of(self, namespace: str, person: str) -> list[Webhook]:
        return await self._store.read(_of, namespace, person)

    async def disable(self, id: str, why: str) -> None:
        await self._store.write(_disable, id, why)

    async def delete(self, id: str) -> bool:
        return await self._store.write(_delete, id)

    async def marks(self, limit: int) -> list[Mark]:
        return await self._store.read(_marks, limit)

    async def add(self, deliveries: list[Delivery], mark: Mark | None = None) -> None:
        await self._store.write(_add, deliveries, mark)

    async def take(self, now: float, until: float, limit: int, but: Sequence[str] = ()) -> list[Delivery]:
        return await self._store.write(_take, now, until, limit, but)

    async def next_due(self, but: Sequence[str] = ()) -> float | None:
        return await self._store.read(_next_due, but)

    async def settle(self, delivery: Delivery) -> None:
        await self._store.write(_settle, delivery)

    async def deliveries(self, webhook: str, before: int = 0, limit: int = 50) -> list[Delivery]:
        return await self._store.read(_deliveries, webhook, before or _NO_END, limit)

    async def prune(self, before: float) -> int:
        return await self._store.write(_prune, before)


def _webhook(row: Row) -> Webhook:
    id, person, url, created, namespace, events, task, disabled = row
    return Webhook(id, person, url, created, namespace, tuple(msgspec.json.decode(events)), task, disabled)


def _put(connection: sqlite3.Connection, statements: Statements, webhook: Webhook) -> None:
    row = msgspec.structs.replace(webhook, events=msgspec.json.encode(webhook.events).decode())
    connection.execute(statements["put_webhook"], msgspec.structs.astuple(row))


def _get(connection: sqlite3.Connection, statements: Statements, id: str) -> Webhook | None:
    row = connection.execute(statements["webhook"], (id,)).fetchone()
    return _webhook(row) if row else None


def _of(connection: sqlite3.Connection, statements: Statements, namespace: str, person: str) -> list[Webhook]:
    return [_webhook(row) for row in connection.execute(statements["webhooks_of"], (namespace, person)).fetchall()]


def _disable(connection: sqlite3.Connection, statements: Statements, id: str, why: str) -> None:
    connection.execute(statements["disable_webhook"], (why, id))


def _delete(connection: sqlite3.Connection, statements: Statements, id: str) -> bool:
    connection.execute(statements["delete_deliveries_of"], (id,))
    return connection.execute(statements["delete_webhook"], (id,)).rowcount == 1


def _marks(connection: sqlite3.Connection, statements: Statements, limit: int) -> list[Mark]:
    return [Mark(*row) for row in connection.execute(statements["marks"], (limit,)).fetchall()]


def _add(connection: sqlite3.Connection, statements: Statements, deliveries: list[Delivery], mark: Mark | None) -> None:
    # A task that was deleted while its journal was read has nothing to tell any more.
    if mark is not None and connection.execute(statements["whose_task"], (mark.task,)).fetchone() is None:
        deliveries = []
    rows = [(*msgspec.structs.astuple(delivery)[:-1], delivery.webhook) for delivery in deliveries]
    connection.executemany(statements["add_delivery"], rows)
    if mark is not None:
        connection.execute(statements["see_mark"], (mark.seq, mark.task))
        connection.execute(statements["forget_mark"], (mark.task,))


def _take(
    connection: sqlite3.Connection, statements: Statements, now: float, until: float, limit: int, but: Sequence[str]
) -> list[Delivery]:
    others = msgspec.json.encode(but).decode()
    taken = connection.execute(statements["take_deliveries"], (now, until, limit, others)).fetchall()
    return sorted((Delivery(*row) for row in taken), key=lambda delivery: delivery.place)


def _next_due(connection: sqlite3.Connection, statements: Statements, but: Sequence[str]) -> float | None:
    row = connection.execute(statements["next_due"], (msgspec.json.encode(but).decode(),)).fetchone()
    return row[0] if row else None


def _settle(connection: sqlite3.Connection, statements: Statements, done: Delivery) -> None:
    values = (done.state, done.attempts, done.due, done.status, done.reason, done.id)
    connection.execute(statements["settle_delivery"], values)


def _deliveries(
    connection: sqlite3.Connection, statements: Statements, webhook: str, before: int, limit: int
) -> list[Delivery]:
    found = connection.execute(statements["deliveries"], (webhook, before, limit)).fetchall()
    return [Delivery(*row) for row in found]


def _prune(connection: sqlite3.Connection, statements: Statements, before: float) -> int:
    return connection.execute(statements["prune_deliveries"], (before,)).rowcount
