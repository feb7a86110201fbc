"""The use-cases of things that clients keep, for one caller at a time: each person has their own."""

import time
from collections.abc import Sequence

from msgspec.structs import replace

from agenthost.core.access import Caller, Right
from agenthost.core.errors import NotFound, Unusable
from agenthost.core.shelf import Shelf, Thing
from agenthost.host.guarded import forbidden

MOST = 10_000
"""Things of one kind that a person may have, or that may be within one of them."""
LARGEST = 256 * 1024
"""Bytes of a thing's body."""
PAGE = 500


class Desk:
    """What a thing means is its protocol's; that it is one's own is asked here."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def new(
        self, caller: Caller, kind: str, id: str, body: bytes = b"", within: str = "", files: tuple[str, ...] = ()
    ) -> Thing:
        """A thing of the caller's, which isn't kept yet."""
        return Thing(kind, id, caller.namespace, caller.person, time.time(), body, within, files)

    async def put(self, caller: Caller, things: Sequence[Thing]) -> None:
        """Keep things that are new, all of one kind and within the same. Raises Forbidden, Unusable."""
        _need(caller, "work", "keep things")
        if not things:
            return
        first = things[0]
        for thing in things:
            if len(thing.body) > LARGEST:
                raise Unusable(
                    f"it has {len(thing.body):,} bytes and may have {LARGEST:,}; send what is large as a file"
                )
        have = await self._shelf.count(caller.namespace, caller.person, first.kind, first.within)
        if have + len(things) > MOST:
            raise Unusable(f"there are {have:,} of them, and {MOST:,} are the most; delete some")
        whose = [replace(thing, namespace=caller.namespace, person=caller.person) for thing in things]
        await self._shelf.put(whose)

    async def change(self, caller: Caller, thing: Thing, body: bytes) -> None:
        """Change what one of the caller's own things says. Raises Forbidden."""
        _need(caller, "work", "change things")
        if not _own(caller, thing) or len(body) > LARGEST:
            raise NotFound(f"there is no '{thing.id}' of yours, or it became larger than {LARGEST:,} bytes")
        await self._shelf.put([replace(thing, body=body)])

    async def get(self, caller: Caller, kind: str, id: str) -> Thing:
        """One of the caller's own. Raises NotFound."""
        _need(caller, "read", "look at what is kept")
        found = await self._shelf.get(kind, id)
        if found is None or not _own(caller, found):
            raise NotFound(f"there is no '{id}'")
        return found

    async def there(self, caller: Caller, kind: str, id: str) -> bool:
        """Whether there is one that the caller may know of, be it somebody else's."""
        _need(caller, "read", "look at what is kept")
        found = await self._shelf.get(kind, id)
        return found is not None and caller.sees(found.namespace, found.person)

    async def of(self, caller: Caller, kind: str, within: str = "", after: int = 0, limit: int = PAGE) -> list[Thing]:
        """The caller's own of a kind, as `Shelf.of` orders them."""
        _need(caller, "read", "list what is kept")
        return await self._shelf.of(caller.namespace, caller.person, kind, within, after, limit)

    async def all(self, caller: Caller, kind: str, within: str) -> list[Thing]:
        """Every one of the caller's own within another, the oldest first."""
        found: list[Thing] = []
        while page := await self.of(caller, kind, within, found[-1].place if found else 0):
            found += page
        return found

    async def delete(self, caller: Caller, kind: str, id: str) -> None:
        """Remove one of the caller's own, with what is within it. Raises NotFound, Forbidden."""
        await self.get(caller, kind, id)
        _need(caller, "work", "delete things")
        await self._shelf.delete(kind, id)


def _own(caller: Caller, thing: Thing) -> bool:
    return (thing.namespace, thing.person) == (caller.namespace, caller.person)


def _need(caller: Caller, right: Right, what: str) -> None:
    if not caller.may(right):
        raise forbidden(caller, right, what)
