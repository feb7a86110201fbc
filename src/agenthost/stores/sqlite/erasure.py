"""Erasure in the SQLite store's own file. `secure_delete` overwrites what is removed; a checkpoint empties the log."""

import asyncio
import sqlite3

from agenthost.core.erasure import big_body, named_in
from agenthost.core.errors import Temporary
from agenthost.core.keeping import answers_of
from agenthost.stores.rules import goes_on
from agenthost.stores.sqlite.statements import Statements
from agenthost.stores.sqlite.store import SQLiteStore

AT_ONCE = 2000
"""Events that one step removes: some milliseconds of the writer."""

ANSWERS_AT_ONCE = 500
"""Answers that one step looks through."""

_LEFT = (
    "delete_within",
    "erase_deliveries",
    "erase_inbox",
    "erase_accounts",
    "erase_files",
    "erase_marks",
    "erase_lines",
    "erase_topic",
    "erase_line_marks",
    "erase_pushes",
    "decide_ledger",
    "erase_ledger",
    "erase_tasks",
    "end_erasing",
)

_LOOSE = ("decide_loose_of", "erase_loose_of")
_LINES = ("forget_lines_of", "forget_topics_of", "forget_threads_of")


class SQLiteErasure:
    """The port `core.erasure.Erasure`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def ended_before(self, at: float, limit: int) -> list[str]:
        return await self._store.read(_first, "ended_before", at, limit)

    async def roots_of(self, namespace: str, person: str, after: str, limit: int) -> list[str]:
        return await self._store.read(_first, "roots_of", namespace, person, after, limit)

    async def begin(self, root: str, digests: set[str]) -> None:
        await self._store.write(_begin, root, sorted(digests))

    async def begun(self) -> list[str]:
        return await self._store.read(_first, "erasing")

    async def erase(self, root: str) -> bool:
        return await self._store.write(_erase, root)

    async def waiting(self, root: str) -> set[str]:
        return await self._store.read(_waiting, root)

    async def doom_gifts(self, before: float, after: float, limit: int) -> float | None:
        return await self._store.write(_doom_gifts, before, after, limit)

    async def doomed(self, after: str, limit: int) -> list[str]:
        return await self._store.read(_first, "doomed_files", after, limit)

    async def held(self, digests: set[str]) -> set[str]:
        return await self._store.read(_held, sorted(digests))

    async def release(self, digest: str, before: float) -> bool:
        return await self._store.write(_release, digest, before)

    async def spare(self, digest: str) -> None:
        await self._store.write(_spare, digest)

    async def named(self, digests: set[str], after: int, step: int) -> tuple[set[str], set[str], int]:
        return await self._store.read(_named, digests, after, step)

    async def forget_person(self, namespace: str, person: str) -> None:
        await self._store.write(_forget_person, namespace, person)

    async def forget_namespace(self, namespace: str) -> None:
        await self._store.write(_forget_namespace, namespace)

    async def forget_answers(self, root: str, after: str) -> str:
        return await self._store.write(_forget_answers, root, after)

    async def trim_answers(self, before: float) -> int:
        return await self._store.write(_trim_answers, before)

    async def trim_audit(self, before: float) -> int:
        return await self._store.write(_trim_audit, before)

    async def trim_calls(self, before: float) -> int:
        return await self._store.write(_trim_calls, before)

    async def settle(self) -> None:
        for attempt in range(10):
            busy: list[bool] = []
            await self._store.alone(lambda connection, busy=busy: busy.append(_checkpoint(connection)))
            if not any(busy):
                return
            await asyncio.sleep(0.02 * 2**attempt)
        raise Temporary(
            "somebody reads the database without end; what is gone stands in its log until that ends", code="store-busy"
        )


def _first(connection: sqlite3.Connection, statements: Statements, name: str, *values: object) -> list[str]:
    return [row[0] for row in connection.execute(statements[name], values).fetchall()]


def _begin(connection: sqlite3.Connection, statements: Statements, root: str, digests: list[str]) -> None:
    going = connection.execute(statements["still_going"], (root,))
    if (found := going.fetchone()) is not None:
        raise goes_on(found[0])
    connection.execute(statements["begin_erasing"], (root,))
    connection.execute(statements["doom_files_of"], (root,))
    connection.executemany(statements["doom_files"], [(root, digest) for digest in digests])


def _erase(connection: sqlite3.Connection, statements: Statements, root: str) -> bool:
    if connection.execute(statements["erase_some_events"], (root, AT_ONCE)).rowcount >= AT_ONCE:
        return False
    for name in _LEFT:
        connection.execute(statements[name], (root,))
    return True


def _waiting(connection: sqlite3.Connection, statements: Statements, root: str) -> set[str]:
    found: set[str] = set()
    for (body,) in connection.execute(statements["waiting_bodies"], (root,)).fetchall():
        found |= named_in(bytes(body))
    return found


def _doom_gifts(
    connection: sqlite3.Connection, statements: Statements, before: float, after: float, limit: int
) -> float | None:
    values = (before, after, limit)
    connection.execute(statements["doom_gifts_before"], values)
    return connection.execute(statements["last_of_gifts"], values).fetchone()[0]


def _held(connection: sqlite3.Connection, statements: Statements, digests: list[str]) -> set[str]:
    sql = statements["is_held"]
    return {digest for digest in digests if connection.execute(sql, (digest,)).fetchone()[0]}


def _release(connection: sqlite3.Connection, statements: Statements, digest: str, before: float) -> bool:
    connection.execute(statements["release_gifts"], (digest, before))
    return not connection.execute(statements["is_given"], (digest,)).fetchone()[0]


def _spare(connection: sqlite3.Connection, statements: Statements, digest: str) -> None:
    connection.execute(statements["spare_file"], (digest,))


def _named(
    connection: sqlite3.Connection, statements: Statements, digests: set[str], after: int, step: int
) -> tuple[set[str], set[str], int]:
    found: set[str] = set()
    big: set[str] = set()
    if not after:
        for (body,) in connection.execute(statements["bodies_that_wait"]).fetchall():
            found |= digests & named_in(bytes(body))
    for (body,) in connection.execute(statements["bodies_between"], (after, after + step)).fetchall():
        content = bytes(body)
        found |= digests & named_in(content)
        if whole := big_body(content):
            big.add(whole)
    last = connection.execute(statements["last_row"]).fetchone()[0] or 0
    return found, big, after + step if after + step < last else 0


def _forget_person(connection: sqlite3.Connection, statements: Statements, namespace: str, person: str) -> None:
    of_them = (
        "doom_gifts_of",
        "forget_gifts_of",
        *_LOOSE,
        "forget_person_in_usage",
        "delete_usage",
        "forget_schedules",
    )
    for name in ("delete_things_of", *_LINES, *of_them):
        connection.execute(statements[name], (namespace, person))
    connection.execute(statements["delete_grants_of"], (namespace, person))
    connection.execute(statements["erase_answers_of"], (answers_of(namespace, person),))


def _forget_namespace(connection: sqlite3.Connection, statements: Statements, namespace: str) -> None:
    for name in (
        "delete_things_of",
        *_LINES,
        "doom_gifts_of",
        "forget_gifts_of",
        *_LOOSE,
        "delete_usage",
        "forget_schedules",
        "delete_grants_of",
    ):
        connection.execute(statements[name], (namespace, ""))
    # The versions last: a manifest that goes leaves one.
    for name in ("erase_manifests", "erase_versions"):
        connection.execute(statements[name], (namespace,))


def _trim_calls(connection: sqlite3.Connection, statements: Statements, before: float) -> int:
    connection.execute(statements["decide_loose_before"], (before,))
    return connection.execute(statements["erase_loose_before"], (before,)).rowcount


def _forget_answers(connection: sqlite3.Connection, statements: Statements, root: str, after: str) -> str:
    looked = connection.execute(statements["answers_that_name"], (after, root.encode(), ANSWERS_AT_ONCE)).fetchall()
    connection.executemany(statements["forget_answer"], [(key,) for key, named in looked if named])
    return looked[-1][0] if len(looked) == ANSWERS_AT_ONCE else ""


def _trim_answers(connection: sqlite3.Connection, statements: Statements, before: float) -> int:
    return connection.execute(statements["sweep_answers"], (before,)).rowcount


def _trim_audit(connection: sqlite3.Connection, statements: Statements, before: float) -> int:
    # The log refuses every DELETE; its age is the one reason why lines go, and here is the one place where they do.
    made = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'deeds_stay'").fetchone()[0]
    connection.execute("DROP TRIGGER deeds_stay")
    # Who was removed is never forgotten: what they left behind would be the next one's who has their id.
    gone = connection.execute("DELETE FROM deeds WHERE at < ? AND what <> 'person.delete'", (before,)).rowcount
    connection.execute(made)
    return gone


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Write the log into the database and empty it; True where a reader is in the way."""
    return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
