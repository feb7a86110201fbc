"""Tasks that were done elsewhere, taken in from their exports: what is asked for, what came, and what keeps it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from agenthost.core.ports import LedgerEntry, StoredEvent
from agenthost.core.tasks import TaskRow

IMPORTED = "imported"
"""The hold of a task that hadn't ended when it was exported: it rests for good."""


class ImportOrder(Struct, frozen=True, omit_defaults=True):
    """An export to take in: the content hash of a file that was put here."""

    file: str


class TakenIn(Struct, frozen=True, omit_defaults=True):
    """What was taken in: its row here, its id there (`origin`), how many tasks and events came. `missing`: contents that are
    named and weren't with it. `agrees`: whether all of it was decided again and came out the same; else `difference`."""

    row: TaskRow
    origin: str
    tasks: int
    events: int
    missing: int = 0
    agrees: bool = True
    difference: str = ""


class Aside(Struct, frozen=True, omit_defaults=True):
    """What an export has besides journals and files, kept with an import so that it can be exported again: every attempt at
    a model call, which stands in no ledger of this host, and the contents that weren't with it, with why."""

    ledger: tuple[LedgerEntry, ...] = ()
    missing: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class Importing(Protocol):
    """The use-case, for one caller."""

    async def take(self, order: ImportOrder) -> TakenIn:
        """Take an export in as a task of the caller's. Nothing of it is carried out, now or later. Raises NotFound where
        the file isn't theirs, Unusable where it can't be taken in, Forbidden where they may give no work."""
        ...


class Foreign(Struct, frozen=True):
    """A task that is kept as it is: its row, and its whole journal."""

    row: TaskRow
    events: tuple[StoredEvent, ...]


class Imports(Protocol):
    """Keeps tasks that were done elsewhere. Its conformance suite is `agenthost.testing.imports`."""

    async def take_in(self, tasks: Sequence[Foreign], files: Mapping[str, Mapping[str, str]]) -> bool:
        """Keep tasks with their journals and the files of workspaces (path to content hash), all or nothing, in one commit;
        False where a task of one of these ids is there. Nobody is told of what is in the journals, and nobody owns or goes
        on with them: those that haven't ended have a hold."""
        ...
