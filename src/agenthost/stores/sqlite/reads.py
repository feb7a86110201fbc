"""The reads, each a function of the reader's connection."""

import sqlite3
from typing import Any

import msgspec

from agenthost.core.budgets import Spend
from agenthost.core.ports import Filter, InboxItem, LedgerEntry, StoredEvent
from agenthost.core.tasks import Scope, TaskRow
from agenthost.stores.rules import EMPTY, total
from agenthost.stores.sqlite.statements import Statements

_scopes = msgspec.json.Decoder(tuple[Scope, ...])

_COLUMNS = ", ".join(TaskRow.__struct_fields__)


def events(
    connection: sqlite3.Connection, statements: Statements, task: str, after: int, limit: int
) -> list[StoredEvent]:
    """Events of a journal after a sequence number."""
    return [StoredEvent(*row) for row in connection.execute(statements["events"], (task, after, limit)).fetchall()]


def inbox(connection: sqlite3.Connection, statements: Statements, task: str) -> list[InboxItem]:
    """What waits in an inbox."""
    return [InboxItem(*row) for row in connection.execute(statements["inbox"], (task,)).fetchall()]


def task(connection: sqlite3.Connection, statements: Statements, task: str) -> TaskRow | None:
    """One task."""
    row = connection.execute(statements["task"], (task,)).fetchone()
    return TaskRow(*row) if row else None


def tasks(connection: sqlite3.Connection, statements: Statements, wanted: Filter) -> list[TaskRow]:
    """One page of a listing."""
    sql, values = listing(wanted)
    return [TaskRow(*row) for row in connection.execute(sql, values).fetchall()]


def count_tasks(connection: sqlite3.Connection, statements: Statements, wanted: Filter) -> int:
    """How many tasks a listing has in all."""
    sql, values = counting(wanted)
    return connection.execute(sql, values).fetchone()[0]


def listing(wanted: Filter) -> tuple[str, list[Any]]:
    """The statement of a listing, and its values."""
    where, values = _conditions(wanted)
    if wanted.before and wanted.order == "updated":
        where += " AND (updated, id) < (?, ?)"
        values += [wanted.before_change, wanted.before]
    elif wanted.before:
        where += " AND (created, id) < (SELECT created, id FROM tasks WHERE id = ?)"
        values.append(wanted.before)
    values.append(wanted.limit)
    order = "updated" if wanted.order == "updated" else "created"
    return f"SELECT {_COLUMNS} FROM tasks WHERE {where} ORDER BY {order} DESC, id DESC LIMIT ?", values


def counting(wanted: Filter) -> tuple[str, list[Any]]:
    """The statement that counts a listing, and its values."""
    where, values = _conditions(wanted)
    return f"SELECT count(*) FROM tasks WHERE {where}", values


def _conditions(wanted: Filter) -> tuple[str, list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []

    def want(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    # The plus keeps the planner off the index by time where a tree is wanted: it would walk every task there is.
    want("+namespace = ?" if wanted.root else "namespace = ?", wanted.namespace)
    if wanted.states:
        want(f"state IN ({', '.join('?' * len(wanted.states))})", *wanted.states)
    if wanted.root:
        # Children's ids begin with their root's, so a tree is one stretch of the primary key.
        want("id >= ? AND id < ? || '/' AND root = ?", wanted.root, wanted.root, wanted.root)
    if wanted.roots_only:
        want("parent = ''")
    for condition, given in (
        ("name = ?", wanted.name),
        ("person = ?", wanted.person),
        ("conversation = ?", wanted.conversation),
        ("parent = ?", wanted.parent),
        ("instr(lower(title), lower(?))", wanted.text),
        ("created >= ?", wanted.since),
        ("created < ?", wanted.until),
        ("updated >= ?", wanted.changed_since),
    ):
        if given:
            want(condition, given)
    return " AND ".join(conditions), values


def every_task(connection: sqlite3.Connection, statements: Statements, after: str, limit: int) -> list[TaskRow]:
    """Tasks of every namespace by id, after one."""
    sql = f"SELECT {_COLUMNS} FROM tasks WHERE id > ? ORDER BY id LIMIT ?"
    return [TaskRow(*row) for row in connection.execute(sql, (after, limit)).fetchall()]


def claimable(
    connection: sqlite3.Connection, statements: Statements, owner: str, now: float, limit: int
) -> list[TaskRow]:
    """What an owner may claim: first what somebody left, then what nobody has had."""
    lapsed = [name for (name,) in connection.execute(statements["lapsed_owners"], (now, owner)).fetchall()]
    found: list[TaskRow] = []
    for name in (*lapsed, ""):
        if len(found) < limit:
            rows = connection.execute(statements["claimable"], (name, limit - len(found))).fetchall()
            found += [TaskRow(*row) for row in rows]
    return found


def find(connection: sqlite3.Connection, statements: Statements, prefix: str) -> list[str]:
    """Ids that begin so."""
    return [id for (id,) in connection.execute(statements["find"], (prefix,)).fetchall()]


def ledger(connection: sqlite3.Connection, statements: Statements, root: str) -> list[LedgerEntry]:
    """Every attempt of a tree."""
    return [_entry(row) for row in connection.execute(statements["ledger"], (root,)).fetchall()]


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    task, command, attempt, agent, model, at, person, namespace, scopes = row[:9]
    spent = Spend(*row[12:15]) if row[15] else None
    return LedgerEntry(
        task=task,
        command=command,
        attempt=attempt,
        agent=agent,
        model=model,
        at=at,
        worst=Spend(*row[9:12]),
        scopes=_scopes.decode(scopes),
        person=person,
        namespace=namespace,
        spent=spent,
        settled=bool(row[15]),
        priced=bool(row[16]),
    )


def accounts(connection: sqlite3.Connection, statements: Statements, prefix: str) -> dict[str, Spend]:
    """What counts against the accounts whose names begin so."""
    rows = connection.execute(statements["accounts_like"], (prefix, f"{prefix}\U0010ffff")).fetchall()
    return {name: total((turns, tokens, cost, time)) for name, turns, tokens, cost, time in rows}


def spent(connection: sqlite3.Connection, statements: Statements, task: str) -> Spend:
    """What counts against an account."""
    return total(connection.execute(statements["account"], (task,)).fetchone() or EMPTY)


def files(connection: sqlite3.Connection, statements: Statements, workspace: str) -> dict[str, str]:
    """The files of a workspace."""
    return dict(connection.execute(statements["files"], (workspace,)).fetchall())


def definition(connection: sqlite3.Connection, statements: Statements, digest: str) -> bytes | None:
    """A bundle by its content hash."""
    row = connection.execute(statements["definition"], (digest,)).fetchone()
    return row[0] if row else None


def manifests(connection: sqlite3.Connection, statements: Statements, kind: str, namespace: str) -> dict[str, bytes]:
    """The manifests of a kind by name."""
    return dict(connection.execute(statements["manifests"], (namespace, kind)).fetchall())
