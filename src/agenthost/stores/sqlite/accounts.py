"""People, keys, the audit log and whose files are whose, in the SQLite store's own file."""

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec.structs import astuple

from agenthost.core.access import Deed, DeedFilter, Key, Person
from agenthost.stores.rules import subject_taken
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore

_NO_END = 2**62


class SQLiteAccounts:
    """The port `core.access.Accounts`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def person(self, id: str) -> Person | None:
        return await self._store.read(_person, "person", id)

    async def person_of(self, subject: str) -> Person | None:
        return await self._store.read(_person, "person_of", subject)

    async def people(self, namespace: str = "default") -> list[Person]:
        return await self._store.read(_people, namespace)

    async def put_person(self, person: Person) -> None:
        await self._store.write(_put_person, person)

    async def delete_person(self, id: str) -> bool:
        return await self._store.write(_delete_person, id)

    async def key(self, digest: str) -> tuple[Key, Person] | None:
        return await self._store.read(_key, digest)

    async def keys(self, person: str) -> list[Key]:
        return await self._store.read(_keys, person)

    async def put_key(self, key: Key) -> None:
        await self._store.write(_put_key, key)

    async def extend_key(self, id: str, expires: float) -> bool:
        return await self._store.write(_extend_key, id, expires)

    async def delete_key(self, person: str, id: str) -> bool:
        return await self._store.write(_delete_key, person, id)

    async def sweep(self, now: float) -> int:
        return await self._store.write(_sweep, now)

    async def note(self, deeds: list[Deed]) -> None:
        if deeds:
            await self._store.write(_note, deeds)

    async def deeds(self, wanted: DeedFilter) -> list[Deed]:
        return await self._store.read(_deeds, wanted)

    async def own_file(self, namespace: str, person: str, digest: str) -> None:
        await self._store.write(_own_file, namespace, person, digest)

    async def has_file(self, namespace: str, person: str, digest: str) -> bool:
        return await self._store.read(_has_file, namespace, person, digest)


def _read_person(row: Row) -> Person:
    *fields, disabled = row
    return Person(*fields, disabled=bool(disabled))


def _read_key(row: Row) -> Key:
    id, person, digest, created, name, rights, expires, hint, session, maker = row
    given = tuple(msgspec.json.decode(rights))
    return Key(id, person, digest, created, name, given, expires, hint, bool(session), maker)


def _person(connection: sqlite3.Connection, statements: Statements, by: str, value: str) -> Person | None:
    row = connection.execute(statements[by], (value,)).fetchone()
    return _read_person(row) if row else None


def _people(connection: sqlite3.Connection, statements: Statements, namespace: str) -> list[Person]:
    return [_read_person(row) for row in connection.execute(statements["people"], (namespace,)).fetchall()]


def _put_person(connection: sqlite3.Connection, statements: Statements, person: Person) -> None:
    taken = person.subject and connection.execute(statements["subject_taken"], (person.subject, person.id)).fetchone()
    if taken:
        raise subject_taken(person.id)
    connection.execute(statements["put_person"], astuple(person))


def _delete_person(connection: sqlite3.Connection, statements: Statements, id: str) -> bool:
    connection.execute(statements["delete_keys"], (id,))
    return connection.execute(statements["delete_person"], (id,)).rowcount == 1


def _key(connection: sqlite3.Connection, statements: Statements, digest: str) -> tuple[Key, Person] | None:
    row = connection.execute(statements["key"], (digest,)).fetchone()
    if row is None:
        return None
    key = _read_key(row)
    person = _person(connection, statements, "person", key.person)
    return (key, person) if person is not None else None


def _keys(connection: sqlite3.Connection, statements: Statements, person: str) -> list[Key]:
    found = [_read_key(row) for row in connection.execute(statements["keys"], (person,)).fetchall()]
    return sorted(found, key=lambda key: (key.created, key.id))


def _put_key(connection: sqlite3.Connection, statements: Statements, key: Key) -> None:
    rights = msgspec.json.encode(key.rights).decode()
    connection.execute(statements["put_key"], astuple(msgspec.structs.replace(key, rights=rights)))


def _extend_key(connection: sqlite3.Connection, statements: Statements, id: str, expires: float) -> bool:
    return connection.execute(statements["extend_key"], (expires, id)).rowcount == 1


def _delete_key(connection: sqlite3.Connection, statements: Statements, person: str, id: str) -> bool:
    return connection.execute(statements["delete_key"], (person, id)).rowcount > 0


def _sweep(connection: sqlite3.Connection, statements: Statements, now: float) -> int:
    return connection.execute(statements["sweep_keys"], (now,)).rowcount


def _note(connection: sqlite3.Connection, statements: Statements, deeds: Sequence[Deed]) -> None:
    connection.executemany(statements["note_deed"], [astuple(deed)[:-1] for deed in deeds])


def _deeds(connection: sqlite3.Connection, statements: Statements, wanted: DeedFilter) -> list[Deed]:
    values = astuple(msgspec.structs.replace(wanted, before=wanted.before or _NO_END))
    return [Deed(*row) for row in connection.execute(statements["deeds"], values).fetchall()]


def _own_file(connection: sqlite3.Connection, statements: Statements, namespace: str, person: str, digest: str) -> None:
    connection.execute(statements["own_file"], (namespace, person, digest))


def _has_file(connection: sqlite3.Connection, statements: Statements, namespace: str, person: str, digest: str) -> bool:
    return bool(connection.execute(statements["has_file"], (namespace, person, digest)).fetchone()[0])
