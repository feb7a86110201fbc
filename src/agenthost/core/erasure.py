"""Taking things away for good: what a store does for it. Who may, and when, is decided above."""

import re
from typing import Literal, Protocol

from msgspec import Struct

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_BIG = re.compile(rb'\A\{"\$blob":"(sha256:[0-9a-f]{64})"\}\Z')

Removal = Literal["removed", "absent", "used"]
"""What became of a file that was to go: it is gone, it wasn't there, or it is in use and stays."""


class Erased(Struct, frozen=True, omit_defaults=True):
    """What is gone: root tasks, files that were nobody else's, people, webhooks."""

    tasks: int = 0
    files: int = 0
    people: int = 0
    webhooks: int = 0


class Deletion(Protocol):
    """The use-cases, for one caller. Nothing that was deleted comes back. All raise Forbidden where the caller may not."""

    async def task(self, task: str, force: bool = False) -> Erased:
        """Delete a root task with everything below it. Raises NotFound for one that isn't the caller's to see, Conflict
        where it goes on and isn't forced to end first, Temporary where it is and doesn't."""
        ...

    async def person(self, person: str) -> Erased:
        """Delete everything of a person's, and who they were."""
        ...

    async def namespace(self, namespace: str) -> Erased:
        """Delete a namespace with everybody and everything in it."""
        ...


def named_in(body: bytes) -> set[str]:
    """The files, by content hash, that a body names."""
    return {match.decode() for match in _DIGEST.findall(body)}


def big_body(body: bytes) -> str:
    """The file that a body was too big for and stands in, by its content hash; empty where it stands here."""
    found = _BIG.match(body)
    return found[1].decode() if found else ""


class Erasure(Protocol):
    """Removes rows for good: what they held is overwritten, not only let go of. Each method is a step of its own, so that
    work goes on between; what was begun is known after a crash (`begun`, `doomed`)."""

    async def ended_before(self, at: float, limit: int) -> list[str]:
        """Root tasks that ended before a time, the oldest first."""
        ...

    async def roots_of(self, namespace: str, person: str, after: str, limit: int) -> list[str]:
        """Root tasks of a person (an empty one is anybody), by id."""
        ...

    async def begin(self, root: str, digests: set[str]) -> None:
        """A task's rows are going. `digests`: files that its journal names; those of its workspaces are known."""
        ...

    async def begun(self) -> list[str]: ...

    async def erase(self, root: str) -> bool:
        """Remove some of a task's rows, with all below it; True once the last is gone. What it used stays in the sums
        (`Keeping.usage`); what isn't settled counts there at its worst case, for good."""
        ...

    async def waiting(self, root: str) -> set[str]:
        """The content hashes in a task's inbox."""
        ...

    async def doom_gifts(self, before: float, after: float, limit: int) -> float | None:
        """Doom files that were given between two times; the time of the last, to go on from, None where there is none."""
        ...

    async def doomed(self, after: str, limit: int) -> list[str]:
        """Files that may be nobody's any more, by their content hash."""
        ...

    async def held(self, digests: set[str]) -> set[str]:
        """Those that a workspace has, a thing that a client keeps, or a schedule gives to what it runs."""
        ...

    async def release(self, digest: str, before: float) -> bool:
        """Forget that those gave a file whose things are going, unless they gave it again since `before`; True where it is
        nobody's gift now."""
        ...

    async def spare(self, digest: str) -> None:
        """A file that was doomed is gone, or is somebody's."""
        ...

    async def named(self, digests: set[str], after: int, step: int) -> tuple[set[str], set[str], int]:
        """Those that so many rows of journals after a place name; the big bodies that stand in files of their own, which
        may name more; and the place to go on from, 0 at the end. Place 0 begins, with the inboxes."""
        ...

    async def forget_person(self, namespace: str, person: str) -> None:
        """Remove what is left of somebody whose tasks and webhooks are gone: files that they gave, their schedules, their name
        in the sums of what was used, which stay as nobody's."""
        ...

    async def forget_namespace(self, namespace: str) -> None:
        """Remove what is left of a namespace besides people, tasks and webhooks; the sums of what was used as well."""
        ...

    async def forget_answers(self, root: str, after: str) -> str:
        """Remove those of some answers to requests with a key that name a task; the place to go on from, empty at the end."""
        ...

    async def trim_answers(self, before: float) -> int:
        """Remove answers to requests with a key that are older; how many."""
        ...

    async def trim_audit(self, before: float) -> int:
        """Remove lines of the audit log that are older; how many."""
        ...

    async def trim_calls(self, before: float) -> int:
        """Remove calls that no task made and that are older, from the ledger; how many. The sums of what was used stay."""
        ...

    async def settle(self) -> None:
        """Have nothing that is gone stand in the database's files any more."""
        ...
