"""People and keys as they are changed: one change after the other, and each counts at once."""

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from agenthost.core.access import OWNER, Accounts, Key, Person
from agenthost.core.errors import Conflict, NotFound, Unusable


def _nothing() -> None:
    return None


class Register:
    """Changes `accounts`. `changed` is called after each change: what was remembered of somebody is looked up again."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.changed: Callable[[], None] = _nothing
        self._turn = asyncio.Lock()

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

    async def put_key(self, key: Key, most: int) -> None:
        """Keep a new key or session. Of more than `most` sessions the oldest end; with as many keys it raises BadInput."""
        async with self._turn:
            if await self.accounts.person(key.person) is None:
                raise NotFound(f"there is nobody with the id '{key.person}' any more")
            there = [each for each in await self.accounts.keys(key.person) if each.session == key.session]
            if not key.session and len(there) >= most:
                raise Unusable(f"'{key.person}' has {most} keys, the most that there may be; take one back first")
            for old in there[: max(0, len(there) - most + 1)] if key.session else ():
                await self.accounts.delete_key(key.person, old.id)
            await self.accounts.put_key(key)
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
