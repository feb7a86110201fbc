"""The writes that aren't steps of a journal, each a function of the open transaction."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Append, InboxItem, NewTask
from agenthost.core.tasks import TaskRow
from agenthost.stores.rules import not_claimed, unknown
from agenthost.stores.sqlite.statements import Statements


class Creation(Struct, frozen=True):
    """A task to be made, file lists to copy for it (from, to), the files that its own workspace begins with, and its
    owner's first step."""

    new: NewTask
    copies: Sequence[tuple[str, str]]
    files: Mapping[str, str]
    first: Append | None = None


def create_all(connection: sqlite3.Connection, statements: Statements, creations: list[Creation]) -> list[bool]:
    """Make tasks with their first events; False for each that was there, whose rest is left out then."""
    rows = [_task_row(creation.new) for creation in creations]
    new = {id for (id,) in statements.read(connection, "create_task", rows)}
    made: list[Creation] = []
    outcomes: list[bool] = []
    for creation in creations:
        id = creation.new.row.id
        outcomes.append(id in new)
        if id in new:
            # Asked for twice at once, it is made by the first.
            new.discard(id)
            made.append(creation)
    events = [(creation.new.row.id, creation.new.created) for creation in made]
    values = [(id, event.seq, event.at, event.kind, event.version, event.body) for id, event in events]
    statements.write(connection, "add_events", values)
    for owner in {creation.new.row.owner for creation in made} - {""}:
        connection.execute(statements["know_owner"], (owner,))
    for creation in made:
        if creation.copies:
            connection.executemany(statements["copy_files"], creation.copies)
        if creation.files:
            own = [(creation.new.row.id, path, digest) for path, digest in creation.files.items()]
            connection.executemany(statements["set_file"], own)
    return outcomes


def _task_row(new: NewTask) -> tuple[Any, ...]:
    row = msgspec.structs.replace(new.row, root=new.row.root or root_id(new.row.id), seq=new.created.seq)
    *fields, conversation = msgspec.structs.astuple(row)
    return (*fields, row.state in FINAL, conversation)


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


def reckon(connection: sqlite3.Connection, statements: Statements, day: str, since: float) -> None:
    """Bring the accounts of a day up to what the ledger says."""
    connection.execute(statements["reckon_day"], (f"day/{day}/", since))


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
