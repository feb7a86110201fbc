"""Things that clients keep, in memory: the same rules, for tests."""

from msgspec.structs import replace

from agenthost.core.shelf import Thing


class MemoryShelf:
    """The port `core.shelf.Shelf`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Thing] = {}
        self._place = 0
        self.let_go: set[tuple[str, str, str]] = set()
        """Files that a thing which is gone kept, and whose it was: an erasure takes them."""

    async def put(self, things: list[Thing]) -> None:
        for thing in things:
            before = self._kept.get((thing.kind, thing.id))
            if before is None:
                self._place += 1
                self._kept[thing.kind, thing.id] = replace(thing, place=self._place)
            else:
                self._kept[thing.kind, thing.id] = replace(before, body=thing.body)

    async def get(self, kind: str, id: str) -> Thing | None:
        return self._kept.get((kind, id))

    async def of(
        self, namespace: str, person: str, kind: str, within: str = "", after: int = 0, limit: int = 100
    ) -> list[Thing]:
        found = self._of(namespace, person, kind, within)
        if after < 0:
            return [each for each in reversed(found) if each.place < -after][:limit]
        return [each for each in found if each.place > after][:limit]

    async def count(self, namespace: str, person: str, kind: str, within: str = "") -> int:
        return len(self._of(namespace, person, kind, within))

    async def delete(self, kind: str, id: str) -> bool:
        if (kind, id) not in self._kept:
            return False
        self._remove([each for key, each in self._kept.items() if key == (kind, id) or each.within == id])
        return True

    def held(self) -> set[str]:
        """The files of everything that is kept."""
        return {digest for each in self._kept.values() for digest in each.files}

    def forget(self, namespace: str, person: str = "") -> None:
        """Remove what is somebody's; or everybody's in a namespace, where no person is named."""
        self._remove(
            [each for each in self._kept.values() if each.namespace == namespace and person in ("", each.person)]
        )

    def forget_within(self, root: str) -> None:
        """Remove what is within a task."""
        self._remove([each for each in self._kept.values() if each.within == root])

    def _remove(self, things: list[Thing]) -> None:
        for each in things:
            del self._kept[each.kind, each.id]
            self.let_go |= {(digest, each.namespace, each.person) for digest in each.files}

    def _of(self, *wanted: str) -> list[Thing]:
        found = self._kept.values()
        return [each for each in found if (each.namespace, each.person, each.kind, each.within) == wanted]
