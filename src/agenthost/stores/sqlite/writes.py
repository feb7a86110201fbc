"""The writes that aren't steps of a journal, each a function of the open transaction."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import InboxItem, NewTask
from agenthost.core.tasks import TaskRow
from agenthost.stores.rules import not_claimed, unknown
from agenthost.stores.sqlite.statements import Statements


def create(
    connection: sqlite3.Connection,
    statements: Statements,
    new: NewTask,
    copies: Sequence[tuple[str, str]],
    files: Mapping[str, str],
) -> bool:
    """Make a task with its first event, copies of file lists, and files of its own workspace."""
    row, event = new.row, new.created
    values: tuple[Any, ...] = msgspec.structs.astuple(
        msgspec.structs.replace(row, root=row.root or root_id(row.id), seq=event.seq)
    )
    made = connection.execute(statements["create_task"], (*values, row.state in FINAL)).rowcount == 1
    if made:
        connection.execute(
            statements.long("add_events", 1), (row.id, event.seq, event.at, event.kind, event.version, event.body)
        )
        if row.owner:
            connection.execute(statements["know_owner"], (row.owner,))
        for copied in copies:
            connection.execute(statements["copy_files"], copied)
        connection.executemany(statements["set_file"], [(row.id, path, digest) for path, digest in files.items()])
    return made


def claim(connection: sqlite3.Connection, statements: Statements, task: str, owner: str, now: float) -> TaskRow:
    """Give a task to an owner where no living one holds it."""
    found = connection.execute(statements["claim"], {"task": task, "owner": owner, "now": now}).fetchall()
    if not found:
        there = connection.execute(statements["task_place"], (task,)).fetchone()
        raise not_claimed(task, there is not None, bool(there and there[0]))
    connection.execute(statements["know_owner"], (owner,))
    return TaskRow(*found[0])


def heartbeat(connection: sqlite3.Connection, statements: Statements, owner: str, until: float) -> None:
    """Prolong an owner's lease."""
    connection.execute(statements["heartbeat"], (owner, until))


def retire(connection: sqlite3.Connection, statements: Statements, owner: str) -> None:
    """End every other owner's lease."""
    connection.execute(statements["release_others"], (owner,))
    connection.execute(statements["forget_owners"], (owner,))


def put(connection: sqlite3.Connection, statements: Statements, item: InboxItem) -> bool:
    """Put an item into the inbox of a task that goes on."""
    values = (item.task, item.id, item.kind, item.body, item.at)
    if connection.execute(statements["put"], values).rowcount == 1:
        return True
    if connection.execute(statements["task_place"], (item.task,)).fetchone() is None:
        raise unknown(item.task)
    return False


def hold(connection: sqlite3.Connection, statements: Statements, task: str, hold: str, reason: str) -> None:
    """Set or clear the hold of a task that goes on; one that has ended stays as it is."""
    changed = connection.execute(statements["set_hold"], (hold, reason, task)).rowcount
    if not changed and connection.execute(statements["task_place"], (task,)).fetchone() is None:
        raise unknown(task)


def put_definition(connection: sqlite3.Connection, statements: Statements, digest: str, body: bytes) -> None:
    """Keep a bundle under its content hash."""
    connection.execute(statements["put_definition"], (digest, body))


def put_manifests(
    connection: sqlite3.Connection,
    statements: Statements,
    manifests: Sequence[tuple[str, str, str, bytes]],
    now: float,
) -> None:
    """Keep the newest manifests: kind, name, namespace, body."""
    for kind, name, namespace, body in manifests:
        connection.execute(statements["put_manifest"], (kind, name, namespace, body, now))


def delete_manifest(
    connection: sqlite3.Connection, statements: Statements, kind: str, name: str, namespace: str
) -> bool:
    """Remove a manifest; False where there is none."""
    return connection.execute(statements["delete_manifest"], (kind, name, namespace)).rowcount == 1
