"""What a host has recorded of a task, from its store."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from agenthost.core.events import Created, Recorded
from agenthost.core.ids import root_id
from agenthost.core.importing import Aside
from agenthost.core.ports import Blobs, Store
from agenthost.core.tasks import TaskRow
from agenthost.host import following
from agenthost.host.records import spec_of
from agenthost.host.replaying.recording import Recording

Read = Callable[[str], Awaitable[Sequence[Recorded]]]
"""A task's whole journal."""


async def gather(store: Store, blobs: Blobs, task: str, read: Read) -> Recording:
    """Everything about a task and those below it; of an import, also what came with it. Raises NotFound."""
    rows = await following.tree_of(store, task)
    journals: dict[str, tuple[Recorded, ...]] = {}
    definitions: dict[str, bytes] = {}
    workspaces: dict[str, dict[str, str]] = {}
    for row in rows:
        events = journals[row.id] = tuple(await read(row.id))
        if not events or not isinstance(events[0].event, Created):
            continue
        spec = spec_of(events)
        if spec.bundle not in definitions and (body := await store.definition(spec.bundle)) is not None:
            definitions[spec.bundle] = body
        for workspace in (spec.workspace, spec.workspace_base):
            if workspace and workspace not in workspaces:
                workspaces[workspace] = await store.files(workspace)
    aside = await _aside(blobs, journals.get(task) or (), root_id(task), read)
    entries = [*await store.ledger(root_id(task)), *aside.ledger]
    ledger = tuple(entry for entry in entries if following.within(task, entry.task, True))
    return Recording(task, tuple(map(_told, rows)), journals, definitions, workspaces, ledger, aside.missing)


async def _aside(blobs: Blobs, events: Sequence[Recorded], root: str, read: Read) -> Aside:
    """What came with an import besides its journals."""
    if not events or not isinstance(events[0].event, Created) or spec_of(events).imported is None:
        return Aside()
    spec = spec_of(events) if events[0].task == root else spec_of(await read(root))
    assert spec.imported is not None
    return msgspec.json.decode(await blobs.get(spec.imported.aside), type=Aside)


def _told(row: TaskRow) -> TaskRow:
    """A row without what is this host's alone."""
    return msgspec.structs.replace(row, owner="")
