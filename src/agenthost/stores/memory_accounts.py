"""People, keys, the audit log and whose files are whose, in memory: the same rules, for tests."""

import time

from msgspec.structs import replace

from agenthost.core.access import Deed, DeedFilter, Key, Person
from agenthost.core.ports import Filter, Store
from agenthost.stores.rules import subject_taken


class MemoryAccounts:
    """The port `core.access.Accounts`. `store` tells which files are in the workspaces of whose tasks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._people: dict[str, Person] = {}
        self._keys: dict[str, Key] = {}
        self._deeds: list[Deed] = []
        self._noted = 0
        self.given: dict[tuple[str, str, str], float] = {}
        """Files that somebody gave (namespace, person, digest), and when; `memory_erasure` takes them away."""

    async def person(self, id: str) -> Person | None:
        return self._people.get(id)

    async def person_of(self, subject: str) -> Person | None:
        return next((person for person in self._people.values() if person.subject == subject), None)

    async def people(self, namespace: str = "default") -> list[Person]:
        found = [person for person in self._people.values() if person.namespace == namespace]
        return sorted(found, key=lambda person: person.id)

    async def put_person(self, person: Person) -> None:
        other = await self.person_of(person.subject) if person.subject else None
        if other is not None and other.id != person.id:
            raise subject_taken(person.id)
        self._people[person.id] = person

    async def delete_person(self, id: str) -> bool:
        self._keys = {key: kept for key, kept in self._keys.items() if kept.person != id}
        return self._people.pop(id, None) is not None

    async def key(self, digest: str) -> tuple[Key, Person] | None:
        key = next((key for key in self._keys.values() if key.digest == digest), None)
        person = self._people.get(key.person) if key else None
        return (key, person) if key and person else None

    async def keys(self, person: str) -> list[Key]:
        found = [key for key in self._keys.values() if key.person == person]
        return sorted(found, key=lambda key: (key.created, key.id))

    async def put_key(self, key: Key) -> None:
        self._keys[key.id] = key

    async def extend_key(self, id: str, expires: float) -> bool:
        if id not in self._keys:
            return False
        self._keys[id] = replace(self._keys[id], expires=expires)
        return True

    async def delete_key(self, person: str, id: str) -> bool:
        if id not in self._keys or self._keys[id].person != person:
            return False
        gone = {id}
        while more := {key.id for key in self._keys.values() if key.maker in gone} - gone:
            gone |= more
        for each in gone:
            del self._keys[each]
        return True

    async def sweep(self, now: float) -> int:
        gone = [id for id, key in self._keys.items() if 0 < key.expires <= now]
        for id in gone:
            del self._keys[id]
        return len(gone)

    async def note(self, deeds: list[Deed]) -> None:
        self._deeds += [replace(deed, place=self._noted + n) for n, deed in enumerate(deeds, 1)]
        self._noted += len(deeds)

    async def deeds(self, wanted: DeedFilter) -> list[Deed]:
        found = [
            deed
            for deed in reversed(self._deeds)
            if deed.namespace == wanted.namespace
            and wanted.person in ("", deed.person)
            and wanted.what in ("", deed.what)
            and wanted.thing in ("", deed.thing)
            and (not wanted.before or deed.place < wanted.before)
        ]
        return found[: wanted.limit]

    def trim(self, before: float) -> int:
        """Forget lines of the audit log that are older; how many."""
        kept = [deed for deed in self._deeds if deed.at >= before]
        gone, self._deeds = len(self._deeds) - len(kept), kept
        return gone

    async def own_file(self, namespace: str, person: str, digest: str) -> None:
        self.given[namespace, person, digest] = time.time()

    async def has_file(self, namespace: str, person: str, digest: str) -> bool:
        if any(given[::2] == (namespace, digest) and person in ("", given[1]) for given in self.given):
            return True
        rows = await self._store.tasks(Filter(namespace=namespace, person=person, limit=1_000_000))
        for row in rows:
            if digest in (await self._store.files(row.id)).values():
                return True
        return False
