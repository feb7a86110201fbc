"""The files that the host looks at for checks: what is committed, and what a run has just left behind."""

from collections.abc import Mapping

from agenthost.core.errors import NotFound
from agenthost.core.ports import Blobs, Store, Workspace


class Committed:
    """The committed files of a workspace; fulfils core.checks.Place."""

    def __init__(self, store: Store, blobs: Blobs, workspace: str) -> None:
        self._store = store
        self._blobs = blobs
        self._workspace = workspace
        self._files: Mapping[str, str] | None = None

    async def files(self) -> Mapping[str, str]:
        if self._files is None:
            self._files = await self._store.files(self._workspace)
        return self._files

    async def read(self, path: str) -> bytes:
        return await self._blobs.get(await self._digest(path))

    async def size(self, path: str) -> int:
        return await self._blobs.size(await self._digest(path))

    async def _digest(self, path: str) -> str:
        found = (await self.files()).get(path)
        if found is None:
            raise NotFound(f"there is no file '{path}'")
        return found


class Left:
    """The folder of a workspace after a run, before what changed is committed; fulfils core.checks.Place."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def files(self) -> Mapping[str, str]:
        return {path: "" for path, _ in await self._workspace.list()}

    async def read(self, path: str) -> bytes:
        return await self._workspace.read(path)

    async def size(self, path: str) -> int:
        found = dict(await self._workspace.list()).get(path)
        if found is None:
            raise NotFound(f"there is no file '{path}'")
        return found
