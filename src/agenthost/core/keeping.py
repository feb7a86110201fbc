"""What a host keeps beside journals so that it can be asked about later: earlier manifests, what was used, answers that
were given, settings changed while it runs, and everybody's events in the order in which they happened."""

import hashlib
from collections.abc import AsyncIterable
from typing import Literal, Protocol, get_args

from msgspec import Struct

from agenthost.core.ports import Blobs, StoredEvent

Dimension = Literal["task", "agent", "person", "model", "day"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


ANSWERS_KEPT = 86_400.0
"""Seconds for which an answer to a request with a key is given again."""


class Version(Struct, frozen=True):
    """A manifest as it was from `at` on: `number` counts from 1; an empty body says that it was deleted."""

    number: int
    at: float
    body: bytes


class UsageFilter(Struct, frozen=True, omit_defaults=True):
    """Which usage is wanted, and by what it is added up. `task` is a root task's id; `since` and `until` in seconds."""

    by: tuple[Dimension, ...] = ()
    namespace: str = "default"
    task: str = ""
    agent: str = ""
    person: str = ""
    model: str = ""
    since: float = 0.0
    until: float = 0.0
    limit: int = 1000


class UsageLine(Struct, frozen=True, omit_defaults=True):
    """What was used, dearest first: `calls` of models, tokens, and money in USD. Of an attempt that isn't settled the worst
    case counts (`open` of them). `unpriced`: calls whose price nobody knows. `day` is a date in UTC; what it wasn't added
    up by is empty."""

    calls: int
    tokens: int
    cost: float
    open: int = 0
    unpriced: int = 0
    task: str = ""
    agent: str = ""
    person: str = ""
    model: str = ""
    day: str = ""


class KeptAnswer(Struct, frozen=True):
    """An answer that was given to a request with a key. `fingerprint` tells the request; `maker` who makes it; a `status`
    of 0 is one that is still being made. `head` is what its face keeps with it."""

    fingerprint: str
    maker: str
    at: float
    status: int = 0
    head: bytes = b""
    body: bytes = b""


def answers_of(namespace: str, person: str) -> str:
    """What the keys of all answers that somebody was given begin with."""
    return hashlib.sha256(f"{namespace}\0{person}".encode()).hexdigest()[:32] + ":"


class PlacedEvent(Struct, frozen=True):
    """An event of any task, with its place among all events of the store."""

    place: int
    task: str
    event: StoredEvent


class Keeping(Protocol):
    """Its conformance suite is `agenthost.testing.keeping`. What it returned for is on disk."""

    async def versions(self, kind: str, name: str, namespace: str, before: int = 0, limit: int = 50) -> list[Version]:
        """A manifest's versions, newest first; `before` is the number that the last page ended with."""
        ...

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        """Sums. Where they aren't of one task, or by task, the whole days (in UTC) between `since` and `until` also hold
        what was used by tasks that are deleted; what a deleted person used is there with an empty `person`."""
        ...

    async def open_tasks(self) -> dict[str, int]:
        """How many tasks go on, by state. Looks at each of them: for a start, not for a clock."""
        ...

    async def held_tasks(self) -> dict[str, int]:
        """How many of them are held, by hold. Looks at these alone."""
        ...

    async def begin_answer(self, key: str, answer: KeptAnswer, since: float) -> KeptAnswer | None:
        """Keep that an answer is being made: None where it is the caller's to make, else the one that is there. One
        from before `since`, or unfinished by another maker, counts for nothing."""
        ...

    async def end_answer(self, key: str, answer: KeptAnswer | None) -> None:
        """Keep an answer, or forget that it was begun."""
        ...

    async def changed(self) -> dict[str, bytes]:
        """Settings that were changed while the host ran: name to JSON."""
        ...

    async def change(self, values: dict[str, bytes | None]) -> None:
        """Change settings; None takes a change back."""
        ...

    async def newest(self) -> int:
        """The place of the last event there is."""
        ...

    async def placed(
        self, after: int, namespace: str, person: str = "", limit: int = 500
    ) -> tuple[list[PlacedEvent], int]:
        """Events after a place, of a namespace (and person), and the place up to which was looked: at most `limit`, and
        no more than a few thousand are looked at."""
        ...


class Files(Blobs, Protocol):
    """Blobs of any size: what is given and taken in parts. The suite of Blobs tries it too."""

    async def put_stream(self, pieces: AsyncIterable[bytes]) -> tuple[str, int]:
        """Keep what comes, however much it is, without holding it; digest and size. Where `pieces` raises, nothing is kept."""
        ...

    async def read(self, digest: str, start: int, length: int) -> bytes:
        """A part of the content, which isn't checked against its hash; less at its end. Raises NotFound."""
        ...
