"""Things that a client keeps here under an id, by the protocol that it speaks: the description of a file, a conversation, an
item of one. What they mean is the protocol's; whose they are is known."""

from typing import Protocol

from msgspec import Struct


class Thing(Struct, frozen=True, omit_defaults=True):
    """One of them. `kind` (`openai.file`) and `id` name it, `body` is the protocol's own JSON. `within`: the id of the
    thing (or root task) that it is a part of, with which it goes. `files`: content hashes of files that are kept as long
    as it is. `created` in seconds since the epoch; `place` orders all of them, and is the store's to say."""

    kind: str
    id: str
    namespace: str
    person: str
    created: float
    body: bytes = b""
    within: str = ""
    files: tuple[str, ...] = ()
    place: int = 0


class Shelf(Protocol):
    """Keeps things. What it returned for is on disk. Its conformance suite is `agenthost.testing.shelf`."""

    async def put(self, things: list[Thing]) -> None:
        """Keep things, all or none, in this order. Of one that is there already the body changes, and nothing else."""
        ...

    async def get(self, kind: str, id: str) -> Thing | None: ...

    async def of(
        self, namespace: str, person: str, kind: str, within: str = "", after: int = 0, limit: int = 100
    ) -> list[Thing]:
        """Somebody's things of a kind, within another, by their places: those after a place, or, where `after` is below
        0, those before the place `-after`, newest first."""
        ...

    async def count(self, namespace: str, person: str, kind: str, within: str = "") -> int: ...

    async def delete(self, kind: str, id: str) -> bool:
        """Remove one with all that is within it; False where there is none. Files that it kept may go then."""
        ...
