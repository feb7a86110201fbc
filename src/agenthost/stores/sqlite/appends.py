"""Many steps of many tasks in one transaction: read where they all stand, decide, write what holds.

A step that loses is left out and hurts nobody. The whole group costs about ten statements.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Spend
from agenthost.core.errors import BudgetRefused, LostLease
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Append, LedgerEntry, Settlement
from agenthost.core.tasks import Scope
from agenthost.stores.rules import Account, Attempt, Place, charge, check_place
from agenthost.stores.sqlite.statements import Row, Statements

_scopes = msgspec.json.Decoder(tuple[Scope, ...])
_encode = msgspec.json.Encoder().encode


class _Rows(Struct):
    """What a group writes, by statement."""

    moved: list[Row] = []
    ended: list[Row] = []
    events: list[Row] = []
    reserved: list[Row] = []
    settled: list[Row] = []
    taken: list[Row] = []
    sent: list[Row] = []
    files: list[Row] = []
    removed: list[Row] = []


def append_all(connection: sqlite3.Connection, statements: Statements, steps: list[Append]) -> list[Any]:
    """Write steps within the transaction that is open; None for each that was, else why not."""
    outcomes: list[Any] = []
    for group in _apart(steps):
        outcomes += _append_group(connection, statements, group)
    return outcomes


def book(connection: sqlite3.Connection, statements: Statements, batch: Append) -> None:
    """Reserve and settle calls that no task makes."""
    attempts = _attempts(connection, statements, [batch])
    changed = charge(batch, _accounts(connection, statements, [batch], attempts), attempts)
    rows = _Rows(
        reserved=[_reserved(entry) for entry in batch.reserve], settled=[_settled("", one) for one in batch.settle]
    )
    _write(connection, statements, rows, changed)


def _apart(steps: list[Append]) -> Iterator[list[Append]]:
    """Groups in which each task comes once, so that no step has to see another's rows."""
    group: list[Append] = []
    tasks: set[str] = set()
    for step in steps:
        if step.task in tasks:
            yield group
            group, tasks = [], set()
        group.append(step)
        tasks.add(step.task)
    yield group


def _append_group(connection: sqlite3.Connection, statements: Statements, steps: list[Append]) -> list[Any]:
    places = _places(connection, statements, steps)
    attempts = _attempts(connection, statements, steps)
    accounts = _accounts(connection, statements, steps, attempts)
    changed: dict[str, Account] = {}
    rows = _Rows()
    outcomes: list[Any] = []
    for step in steps:
        try:
            check_place(step, places.get(step.task))
            if step.reserve or step.settle or step.worked:
                after = charge(step, accounts, attempts)
                accounts |= after
                changed |= after
        except (LostLease, BudgetRefused, ValueError) as error:
            outcomes.append(error)
            continue
        _gather(rows, step, places[step.task].seq)
        outcomes.append(None)
    _write(connection, statements, rows, changed)
    return outcomes


def _places(connection: sqlite3.Connection, statements: Statements, steps: list[Append]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for (text,) in statements.read(connection, "places", [(step.task,) for step in steps]):
        for task, epoch, seq, ended in msgspec.json.decode(text):
            found[task] = Place(epoch, seq, bool(ended))
    return found


def _attempts(
    connection: sqlite3.Connection, statements: Statements, steps: list[Append]
) -> dict[tuple[str, str, int], Attempt]:
    wanted = [
        (root_id(step.task), step.task, named.command, named.attempt)
        for step in steps
        if step.reserve or step.settle
        for named in (*step.reserve, *step.settle)
    ]
    return {
        (task, command, attempt): Attempt(Spend(turns, tokens, cost), _scopes.decode(scopes), bool(settled))
        for task, command, attempt, turns, tokens, cost, scopes, settled in statements.read(
            connection, "attempts", wanted
        )
    }


def _accounts(
    connection: sqlite3.Connection,
    statements: Statements,
    steps: list[Append],
    attempts: dict[tuple[str, str, int], Attempt],
) -> dict[str, Account]:
    wanted = {scope.task for step in steps for entry in step.reserve for scope in entry.scopes}
    wanted |= {scope.task for step in steps if step.worked for scope in step.scopes}
    wanted |= {scope.task for attempt in attempts.values() for scope in attempt.scopes}
    found: dict[str, Account] = {}
    for (text,) in statements.read(connection, "accounts", [(task,) for task in wanted]):
        for task, *held in msgspec.json.decode(text):
            found[task] = (held[0], held[1], held[2], held[3])
    return found


def _gather(rows: _Rows, step: Append, seq: int) -> None:
    task = step.task
    move = (task, step.state, step.updated, seq + len(step.events), step.outcome, step.reason)
    (rows.ended if step.state in FINAL else rows.moved).append(move)
    rows.events += [(task, event.seq, event.at, event.kind, event.version, event.body) for event in step.events]
    if step.reserve:
        rows.reserved += map(_reserved, step.reserve)
    if step.settle:
        rows.settled += [_settled(task, settlement) for settlement in step.settle]
    if step.taken:
        rows.taken += [(task, item) for item in step.taken]
    if step.send:
        rows.sent += [(item.task, item.id, item.kind, item.body, item.at) for item in step.send]
    for path, digest in step.files.items():
        if digest is None:
            rows.removed.append((step.workspace, path))
        else:
            rows.files.append((step.workspace, path, digest))


def _reserved(entry: LedgerEntry) -> Row:
    worst = entry.worst
    return (
        root_id(entry.task),
        entry.task,
        entry.command,
        entry.attempt,
        entry.agent,
        entry.model,
        entry.at,
        entry.person,
        entry.namespace,
        _encode(entry.scopes),
        worst.turns,
        worst.tokens,
        worst.cost,
        entry.priced,
    )


def _settled(task: str, settlement: Settlement) -> Row:
    spent = settlement.spent
    return (
        root_id(task),
        task,
        settlement.command,
        settlement.attempt,
        settlement.model,
        spent.turns,
        spent.tokens,
        spent.cost,
    )


def _write(connection: sqlite3.Connection, statements: Statements, rows: _Rows, accounts: dict[str, Account]) -> None:
    many: Iterable[tuple[str, list[Row]]] = (
        ("move_tasks", rows.moved),
        ("end_tasks", rows.ended),
        ("add_events", rows.events),
        ("reserve", rows.reserved),
        ("settle", rows.settled),
        ("keep_accounts", [(task, *account) for task, account in accounts.items()]),
    )
    for name, values in many:
        statements.write(connection, name, values)
    # What ended is emptied after the rest of its step and before anything is sent: an ended task gets nothing.
    one_by_one = (("take", rows.taken), ("put", rows.sent), ("remove_file", rows.removed), ("set_file", rows.files))
    for name, values in one_by_one:
        if values:
            connection.executemany(statements[name], values)
    statements.write(connection, "empty_inboxes", [(row[0],) for row in rows.ended])
