"""What a host offers of its own tasks: decided again, taken along."""

from asyncio import Lock
from collections.abc import Callable

from agenthost.core.ports import Blobs, Store
from agenthost.core.replaying import ReplayReport
from agenthost.host.following import tree_of
from agenthost.host.library import Library
from agenthost.host.replaying.gathering import Read, gather
from agenthost.host.replaying.recording import replay_one
from agenthost.host.replaying.writing import write


class Replaying:
    """`read` gives a task's journal; `redact` takes secrets out."""

    def __init__(
        self, store: Store, blobs: Blobs, library: Library, read: Read, redact: Callable[[bytes], bytes]
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._library = library
        self._read = read
        self._redact = redact
        self._exporting = Lock()

    async def export(self, task: str) -> bytes:
        """A task with everything below it as one file."""
        recording = await gather(self._store, task, self._read)
        # One at a time: an export is held in memory.
        async with self._exporting:
            return await write(recording, self._blobs, self._redact)

    async def replay(self, task: str) -> list[ReplayReport]:
        """Decide a task's journal, and those below it, again."""
        rows = await tree_of(self._store, task)
        return [await replay_one(self._library, row, await self._read(row.id)) for row in rows]
