"""People and keys as they are changed: one change after the other, and each counts at once."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from agenthost.core.access import OWNER, Accounts, Key, Person
from agenthost.core.errors import Conflict, NotFound, Unusable


class Register:
    """Changes `accounts`."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._heed: list[Callable[[], None]] = []
        self._turn = asyncio.Lock()

    def heed(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each change that takes something from somebody: what was remembered of them counts
        no more."""
        self._heed.append(changed)

    def changed(self) -> None:
        """Something was taken from somebody."""
        for changed in self._heed:
            changed()

    async def person(self, id: str, namespace: str) -> Person:
        """Somebody of a namespace. Raises NotFound."""
        found = await self.accounts.person(id)
        if found is None or found.namespace != namespace:
            raise NotFound(f"there is nobody with the id '{id[:100]}'; `agenthost people list` shows who there is")
        return found

    async def add(self, person: Person) -> None:
        """Raises Conflict where the id or the subject is somebody's."""
        async with self._turn:
            if await self.accounts.person(person.id) is not None:
                raise Conflict(f"the id '{person.id}' is somebody's already; choose another")
            await self.accounts.put_person(person)

    async def change(self, id: str, change: Callable[[Person], Person]) -> Person:
        """Change somebody as they are now. Raises NotFound where they are gone, BadInput where a namespace would be
        left without an owner."""
        async with self._turn:
            before = await self.accounts.person(id)
            if before is None:
                raise NotFound(f"there is nobody with the id '{id[:100]}' any more")
            after = change(before)
            if after != before:
                if _rules(before) and not _rules(after):
                    await self._need_another_owner(before)
                await self.accounts.put_person(after)
                self.changed()
            return after

    async def delete(self, person: Person) -> None:
        """Remove somebody, with their keys. Raises BadInput for the last owner."""
        async with self._turn:
            await self._need_another_owner(person)
            await self.accounts.delete_person(person.id)
            self.changed()

    async def shut_out(self, id: str) -> None:
        """Let somebody in no more, whoever they are, before all that is theirs is deleted."""
        async with self._turn:
            person = await self.accounts.person(id)
            if person is not None and id != OWNER:
                await self.accounts.put_person(replace(person, disabled=True))
            self.changed()

    async def erase(self, id: str) -> bool:
        """Remove somebody whose things are all gone; False where there is nobody, or it is who has this host."""
        async with self._turn:
            gone = id != OWNER and await self.accounts.delete_person(id)
            self.changed()
            return gone

    async def put_key(self, key: Key, most: int) -> None:
        """Keep a new key or session. Of more than `most` sessions the oldest end; with as many keys it raises BadInput."""
        async with self._turn:
            if await self.accounts.person(key.person) is None:
                raise NotFound(f"there is nobody with the id '{key.person}' any more")
            there = [each for each in await self.accounts.keys(key.person) if each.session == key.session]
            if not key.session and len(there) >= most:
                raise Unusable(f"'{key.person}' has {most} keys, the most that there may be; take one back first")
            ending = there[: max(0, len(there) - most + 1)] if key.session else []
            for old in ending:
                await self.accounts.delete_key(key.person, old.id)
            await self.accounts.put_key(key)
        if ending:
            self.changed()

    async def drop_key(self, person: str, id: str) -> bool:
        """Take a key back, or end a session; False where there is none."""
        gone = await self.accounts.delete_key(person, id)
        self.changed()
        return gone

    async def end_sessions(self, person: str, but: str = "") -> None:
        """End every session of somebody, but for one."""
        for key in await self.accounts.keys(person):
            if key.session and key.id != but:
                await self.accounts.delete_key(person, key.id)
        self.changed()

    async def _need_another_owner(self, person: Person) -> None:
        if person.id == OWNER:
            raise Unusable(f"'{OWNER}' is whose host this is, and stays so; the change was not made")
        people = await self.accounts.people(person.namespace)
        if _rules(person) and not any(_rules(other) for other in people if other.id != person.id):
            raise Unusable(f"'{person.id}' is the last owner; make somebody else an owner first")


def _rules(person: Person) -> bool:
    return person.role == "owner" and not person.disabled


def with_password(person: Person, kept: str) -> Person:
    """The same person with another hash."""
    return replace(person, password=kept)
