"""The connections of one run that are being served: a task each, owned here, bounded, and ended with the run."""

import asyncio
from collections.abc import Callable

from agenthost.core.ports import Connection
from agenthost.sandboxes.egress.egress import Egress

MOST = 128
"""Connections that are served or wait for it. A back end takes no more of them while there are as many."""


class Handling:
    """`freed` is called when there is room again after it was `full`. Use it from one loop."""

    def __init__(self, egress: Egress, freed: Callable[[], None]) -> None:
        self._egress = egress
        self._freed = freed
        self._going: dict[asyncio.Task[None], Connection] = {}

    @property
    def full(self) -> bool:
        return len(self._going) >= MOST

    def take(self, connection: Connection, local: tuple[str, int]) -> None:
        """Serve a connection that was made to `local` inside."""
        task = asyncio.get_running_loop().create_task(self._egress.handle(connection, local))
        self._going[task] = connection
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        was_full = self.full
        self._going.pop(task, None)
        if was_full and not self.full:
            self._freed()

    async def close(self) -> None:
        """End all of them; every connection is closed."""
        going, self._going = self._going, {}
        for task in going:
            task.cancel()
        if going:
            await asyncio.wait(going)
        for connection in going.values():
            await connection.close()  # where its task was cancelled before it began, nobody else has
