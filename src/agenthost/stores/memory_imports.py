"""Tasks that were done elsewhere, in memory: the same rules, for tests."""

from collections.abc import Mapping, Sequence

from agenthost.core.importing import Foreign
from agenthost.stores.memory import MemoryStore


class MemoryImports:
    """The port `core.importing.Imports`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def take_in(self, tasks: Sequence[Foreign], files: Mapping[str, Mapping[str, str]]) -> bool:
        tables = self._store.tables
        if any(task.row.id in tables.tasks for task in tasks):
            return False
        for task in tasks:
            self._store.foreign.add(task.row.id)
            tables.tasks[task.row.id] = task.row
            tables.events[task.row.id] = list(task.events)
            tables.placed += [(task.row.id, each) for each in task.events]
        for workspace, listed in files.items():
            tables.files.setdefault(workspace, {}).update(listed)
        return True
