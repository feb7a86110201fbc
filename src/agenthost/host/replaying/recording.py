"""What was recorded of a task and everything below it: journals, definitions, file lists, ledger."""

from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Struct

from agenthost.core.events import Recorded
from agenthost.core.ports import LedgerEntry, Models, Store, Tools
from agenthost.core.replaying import ReplayReport
from agenthost.core.tasks import TaskRow
from agenthost.host.library import Library
from agenthost.host.records import spec_of
from agenthost.host.replaying.comparing import Redact, gap, replay


class Recording(Struct, frozen=True):
    """`task` is the one at the top; `rows` has it first. `definitions` by content hash, `workspaces` path to content hash
    by workspace; `missing`: contents that are not with it, and why."""

    task: str
    rows: tuple[TaskRow, ...]
    journals: dict[str, tuple[Recorded, ...]]
    definitions: dict[str, bytes]
    workspaces: dict[str, dict[str, str]]
    ledger: tuple[LedgerEntry, ...] = ()
    missing: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def row(self) -> TaskRow:
        return self.rows[0]

    def row_of(self, task: str) -> TaskRow:
        """The row of a task of it."""
        return next(row for row in self.rows if row.id == task)

    async def definition(self, digest: str) -> bytes | None:
        """A bundle, as a store has it: a library reads no more than this of one."""
        return self.definitions.get(digest)


def library_of(recording: Recording) -> Library:
    """The programs of what was recorded. They need definitions, and neither models nor tools."""
    return Library(cast("Store", recording), cast("Models", None), cast("Tools", None))


async def replay_all(recording: Recording) -> list[ReplayReport]:
    """Decide every journal again; nothing is performed. Raises as `replay_one` does."""
    library = library_of(recording)
    return [await replay_one(library, row, recording.journals.get(row.id, ())) for row in recording.rows]


async def replay_one(
    library: Library, row: TaskRow, events: Sequence[Recorded], redact: Redact = lambda body: body
) -> ReplayReport:
    """Decide one journal again; `redact` as in `replay`. Raises NotFound and NewerVersion where its definitions can't be had."""
    if (wrong := gap(row, events)) is not None:
        return wrong
    spec = spec_of(events)
    return replay(await library.program(spec), spec, events, redact)
