"""The workspaces that tasks work in: one at a time, restored before the first use and after a mishap."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from agenthost.core.ports import Sandbox, Store, Workspace, Workspaces


class Desk:
    """One workspace on this host: who works at it, and whether its folder is as it was committed."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.lock = asyncio.Lock()
        self.clean = False
        self.stale = False
        self.users = 0


class Files:
    """Hands out workspaces so that one command works in each at a time and starts from what is committed."""

    def __init__(self, store: Store, workspaces: Workspaces, sandbox: Sandbox) -> None:
        self._store = store
        self._sandbox = sandbox
        self._workspaces = workspaces
        self._desks: dict[str, Desk] = {}

    @asynccontextmanager
    async def use(self, id: str) -> AsyncGenerator[Desk]:
        """Work in a workspace. Call `kept` once the changes are committed; else it is restored before the next use."""
        desk = self._desks.get(id)
        if desk is None:
            desk = self._desks[id] = Desk(self._workspaces.workspace(id))
        desk.users += 1
        try:
            async with desk.lock:
                if desk.stale or not desk.clean:
                    desk.stale = False
                    await desk.workspace.restore(await self._store.files(id))
                desk.clean = False
                yield desk
        finally:
            desk.users -= 1

    def kept(self, desk: Desk, changes: Mapping[str, str | None]) -> None:
        """The changes are in the journal: the folder is what is committed."""
        desk.workspace.committed(changes)
        desk.clean = True

    def dirty(self, id: str) -> None:
        """The committed files changed, or may have, without the folder: it is restored before the next use."""
        desk = self._desks.get(id)
        if desk is not None:
            desk.stale = True

    async def forget(self, id: str, elsewhere: bool = False) -> None:
        """A workspace's tree has ended: let go of its folder; its files stay in the store. `elsewhere`: whoever had the task
        before may have left a folder that nobody has used here."""
        desk = self._desks.get(id)
        if desk is None and elsewhere:
            await self._workspaces.discard(id)
        elif desk is not None and not desk.users:
            del self._desks[id]
            await self._sandbox.release(desk.workspace.folder)
            await self._workspaces.discard(id)

    async def merge(
        self, base: str, theirs: str, ours: str, pending: Mapping[str, str | None]
    ) -> tuple[dict[str, str | None], tuple[str, ...]]:
        """What a copy changed (`theirs`, since `base`) as changes to `ours` with `pending`, and the paths that
        both changed, each in another way."""
        before, after, now = await asyncio.gather(
            self._store.files(base), self._store.files(theirs), self._store.files(ours)
        )
        changes: dict[str, str | None] = {}
        conflicts: list[str] = []
        for path in sorted(before.keys() | after.keys()):
            old, new, current = before.get(path), after.get(path), pending.get(path, now.get(path))
            if new in (old, current):
                continue
            if current == old:
                changes[path] = new
            else:
                conflicts.append(path)
        return changes, tuple(conflicts)
