"""What is older than the settings keep goes, in small steps, in the background."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from agenthost.core.erasure import Erasure
from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.importing import IMPORTED
from agenthost.core.keeping import ANSWERS_KEPT
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Store, Workspaces
from agenthost.engine.parts import Log
from agenthost.host.erasure.eraser import Eraser
from agenthost.host.settings import RetentionSettings

DAY = 86_400.0
STEP = 20
"""Tasks that one step takes away."""


class Keeper:
    """Runs as long as the host works. `folders` gives the ids of the workspaces that have a folder."""

    def __init__(
        self,
        erasure: Erasure,
        eraser: Eraser,
        store: Store,
        workspaces: Workspaces,
        folders: Callable[[], Awaitable[list[tuple[str, float]]]],
        settings: RetentionSettings,
        log: Log,
    ) -> None:
        self._erasure = erasure
        self._eraser = eraser
        self._store = store
        self._workspaces = workspaces
        self._folders = folders
        self._settings = settings
        self._log = log

    async def run(self) -> None:
        """Sweep, now and again, until cancelled. What fails is tried again with the next sweep."""
        while True:
            try:
                await self.sweep(time.time())
            except AgentHostError as error:
                self._log.warning("what is old stays for now", problem=error.message)
            await asyncio.sleep(self._settings.every)

    async def sweep(self, now: float) -> None:
        """Take away what is too old at a time, and end what was begun."""
        keep = self._settings
        await self._eraser.go_on()
        if keep.tasks:
            await self._sweep_tasks(now - keep.tasks * DAY)
            await self._erasure.trim_calls(now - keep.tasks * DAY)
        await self._erasure.trim_answers(now - ANSWERS_KEPT)
        if keep.given:
            after: float | None = 0.0
            while after is not None:
                after = await self._erasure.doom_gifts(now - keep.given * DAY, after, 1000)
        if keep.workspaces:
            await self._sweep_folders(now - keep.workspaces * DAY)
        if keep.audit and (gone := await self._erasure.trim_audit(now - keep.audit * DAY)):
            self._log.info("audit log trimmed", lines=gone)
        await self._eraser.files()
        await self._eraser.settle()

    async def _sweep_tasks(self, before: float) -> None:
        stuck: set[str] = set()
        while old := set(await self._erasure.ended_before(before, STEP + len(stuck))) - stuck:
            for root in sorted(old):
                try:
                    await self._eraser.tasks([root])
                except Temporary:
                    raise
                except AgentHostError as error:
                    # The others go all the same.
                    stuck.add(root)
                    self._log.warning("a task that is old stays for now", task=root, problem=error.message)
            await asyncio.sleep(0)

    async def _sweep_folders(self, before: float) -> None:
        """Folders of tasks that ended, or that are gone, are left over from a host that died."""
        for id, changed in await self._folders():
            if changed >= before:
                continue
            row = await self._store.task(id.partition(".")[0])
            over = row is None or row.state in FINAL or row.hold == IMPORTED
            if row is None or (over and row.updated < before):
                await self._workspaces.discard(id)
