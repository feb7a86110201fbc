"""Schedules and their runs, in the SQLite store's own file."""

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec.structs import astuple

from agenthost.core.schedules import KEPT, Run, Schedule, files_of
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore


class SQLiteSchedules:
    """The port `core.schedules.Schedules`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def add(self, schedule: Schedule) -> bool:
        return await self._store.write(_add, schedule)

    async def get(self, id: str) -> Schedule | None:
        return await self._store.read(_get, id)

    async def all(self, namespace: str, person: str = "") -> list[Schedule]:
        return await self._store.read(_all, namespace, person)

    async def change(self, schedule: Schedule, runs: Sequence[Run] = ()) -> bool:
        return await self._store.write(_change, schedule, runs)

    async def delete(self, id: str) -> bool:
        return await self._store.write(_delete, id)

    async def due(self, now: float, ahead: float, limit: int) -> list[Schedule]:
        return await self._store.read(_due, now, ahead, limit)

    async def next_due(self) -> float | None:
        return await self._store.read(_next_due)

    async def put_run(self, run: Run) -> bool:
        return await self._store.write(_put_run, run)

    async def begin(self, run: Run, alone: bool) -> bool:
        return await self._store.write(_begin, run, alone)

    async def settle(self, run: Run) -> None:
        await self._store.write(_settle, run)

    async def open(self) -> list[Run]:
        return await self._store.read(_open)

    async def runs(self, id: str, before: float, limit: int) -> list[Run]:
        return await self._store.read(_runs, id, before, limit)

    async def sweep(self, before: float) -> int:
        return await self._store.write(_sweep, before)


def _schedule(row: Row) -> Schedule:
    id, name, person, created, spec, namespace, manifest, *rest = row
    return Schedule(id, name, person, created, msgspec.json.decode(spec), namespace, bool(manifest), *rest)


def _run(row: Row) -> Run:
    schedule, due, state, at, person, late, manual, *rest = row
    return Run(schedule, due, state, at, person, bool(late), bool(manual), *rest)


def _values(run: Run) -> Row:
    return (*astuple(run), int(run.state == "missed"), run.schedule)


def _spec(schedule: Schedule) -> str:
    return msgspec.json.encode(schedule.spec).decode()


def _add(connection: sqlite3.Connection, statements: Statements, schedule: Schedule) -> bool:
    values = astuple(msgspec.structs.replace(schedule, spec={}))
    whose = "" if schedule.manifest else schedule.person
    row = (*values[:4], _spec(schedule), *values[5:], whose)
    if connection.execute(statements["add_schedule"], row).rowcount != 1:
        return False
    _hold(connection, statements, schedule)
    return True


def _hold(connection: sqlite3.Connection, statements: Statements, schedule: Schedule) -> None:
    rows = [(digest, schedule.id) for digest in sorted(files_of(schedule))]
    connection.executemany(statements["hold_scheduled_file"], rows)


def _get(connection: sqlite3.Connection, statements: Statements, id: str) -> Schedule | None:
    row = connection.execute(statements["schedule"], (id,)).fetchone()
    return _schedule(row) if row else None


def _all(connection: sqlite3.Connection, statements: Statements, namespace: str, person: str) -> list[Schedule]:
    name, values = ("schedules_of", (namespace, person)) if person else ("schedules_in", (namespace,))
    return sorted(map(_schedule, connection.execute(statements[name], values).fetchall()), key=lambda each: each.name)


def _change(connection: sqlite3.Connection, statements: Statements, schedule: Schedule, runs: Sequence[Run]) -> bool:
    before = _get(connection, statements, schedule.id)
    values = (schedule.name, schedule.person, _spec(schedule), schedule.due, schedule.state, schedule.why)
    which = (schedule.runs, schedule.looked, schedule.id, schedule.revision)
    if before is None or connection.execute(statements["change_schedule"], (*values, *which)).rowcount != 1:
        return False
    if files_of(before) != files_of(schedule):
        connection.execute(statements["doom_scheduled_files"], (schedule.id,))
        connection.execute(statements["let_go_scheduled_files"], (schedule.id,))
        _hold(connection, statements, schedule)
    if runs:
        connection.executemany(statements["put_run"], [_values(run) for run in runs])
        connection.execute(statements["trim_runs"], (schedule.id, KEPT))
    return True


def _delete(connection: sqlite3.Connection, statements: Statements, id: str) -> bool:
    return connection.execute(statements["delete_schedule"], (id,)).rowcount == 1


def _due(
    connection: sqlite3.Connection, statements: Statements, now: float, ahead: float, limit: int
) -> list[Schedule]:
    found = connection.execute(statements["due_schedules"], (now, limit)).fetchall()
    found += connection.execute(statements["schedules_from_later"], (ahead, limit)).fetchall()
    return list({row[0]: _schedule(row) for row in found}.values())


def _next_due(connection: sqlite3.Connection, statements: Statements) -> float | None:
    row = connection.execute(statements["next_schedule"]).fetchone()
    return row[0] if row else None


def _put_run(connection: sqlite3.Connection, statements: Statements, run: Run) -> bool:
    return connection.execute(statements["put_run"], _values(run)).rowcount == 1


def _begin(connection: sqlite3.Connection, statements: Statements, run: Run, alone: bool) -> bool:
    return connection.execute(statements["begin_run"], (run.schedule, run.due, int(alone))).rowcount == 1


def _settle(connection: sqlite3.Connection, statements: Statements, run: Run) -> None:
    connection.execute(statements["settle_run"], (run.schedule, run.due, run.state, run.task, run.why))


def _open(connection: sqlite3.Connection, statements: Statements) -> list[Run]:
    return [_run(row) for row in connection.execute(statements["open_runs"]).fetchall()]


def _runs(connection: sqlite3.Connection, statements: Statements, id: str, before: float, limit: int) -> list[Run]:
    return [_run(row) for row in connection.execute(statements["runs_before"], (id, before, limit)).fetchall()]


def _sweep(connection: sqlite3.Connection, statements: Statements, before: float) -> int:
    return connection.execute(statements["sweep_schedules"], (before,)).rowcount
