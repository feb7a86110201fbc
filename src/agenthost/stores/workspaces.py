"""Workspaces as folders: `ROOT/ID/`, each the files that one task's tree works on.

Programs in a sandbox write in such a folder while the host reads it, perhaps under another user
id and with ill will: everything goes through `beneath`. The root is for the host's user only
(0700); what is below is open to all (0777, 0666), so that any user id of a sandbox can work there.

What is kept of a file is its path and content. It is executable where its content says so (`#!` or ELF),
so the bit needs no keeping. Empty folders and the caches of `IGNORED` are not work and are not kept.
"""

import asyncio
import hashlib
import string
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from agenthost.core.errors import BadInput
from agenthost.core.ports import Blobs
from agenthost.stores import beneath
from agenthost.stores.durable import disk_errors
from agenthost.stores.tree import Tree, WorkspaceLimits, check_kept

T = TypeVar("T")

_PLAIN = frozenset(string.ascii_letters + string.digits + "._~-")
_BATCH = 8
_BATCH_BYTES = 32 * 1024 * 1024


def folder_name(id: str) -> str:
    """The folder's name for a workspace id: the id where that is safe, else escaped. Two ids never share one."""
    name = "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode()) for c in id)
    if not name or name.startswith("."):
        name = "%" + name
    if len(name) > 200:
        name = name[:130] + "%" + hashlib.sha256(id.encode()).hexdigest()
    return name


class FolderWorkspaces:
    """The port Workspaces on a folder. Works in threads of its own; `close` joins them."""

    def __init__(self, root: Path, blobs: Blobs, limits: WorkspaceLimits | None = None, threads: int = 4) -> None:
        self._root = root
        self._blobs = blobs
        self._limits = limits or WorkspaceLimits()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="workspaces")
        self._known: dict[str, FolderWorkspace] = {}

    def workspace(self, id: str) -> "FolderWorkspace":
        """The workspace of that id; the same object for the same id until it is discarded."""
        if id not in self._known:
            self._known[id] = FolderWorkspace(self._root, folder_name(id), self._blobs, self._limits, self._pool)
        return self._known[id]

    async def discard(self, id: str) -> None:
        """Remove the folder. Fine where there is none."""
        workspace = self.workspace(id)
        await workspace.remove()
        self._known.pop(id, None)

    async def close(self) -> None:
        """End the threads, after what they are at."""
        await asyncio.to_thread(self._pool.shutdown)


class FolderWorkspace:
    """The port Workspace on one folder. The folder is there once `restore`, or anything else, was called.

    `dropped` says what was removed since the last commit because it is no ordinary file, for people to read.
    """

    def __init__(self, root: Path, name: str, blobs: Blobs, limits: WorkspaceLimits, pool: ThreadPoolExecutor) -> None:
        self._tree = Tree(root, name, limits)
        self._folder = str(root / name)
        self._root = root
        self._blobs = blobs
        self._limits = limits
        self._pool = pool
        self._lock = asyncio.Lock()
        self._committed: dict[str, str] = {}
        self.dropped: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder to hand to a sandbox."""
        return self._folder

    async def restore(self, files: Mapping[str, str]) -> None:
        """Make the folder exactly `files`; what is right already is left alone. Again is fine, after a crash too."""
        wanted = {"/".join(beneath.components(path)): digest for path, digest in files.items()}
        async with self._lock:
            missing = await self._threaded(lambda: self._tree.prune(wanted))
            for batch in _batches(missing, lambda path: 0):
                contents = await _all([self._blobs.get(wanted[path]) for path in batch])
                await self._threaded(lambda paths=batch, contents=contents: self._write_all(paths, contents))
            self._committed = wanted
            self.dropped = ()

    def _write_all(self, paths: list[str], contents: list[bytes]) -> None:
        for path, content in zip(paths, contents, strict=True):
            self._tree.write(path, content)

    async def changes(self) -> dict[str, str | None]:
        """What differs from what was last committed or restored. Raises BadInput where the workspace holds more
        than its limits: too many files, a file that is too large, or too much in all."""
        async with self._lock:
            found, dropped = await self._threaded(self._tree.scan)
            self.dropped = (*self.dropped, *dropped)
            digests = {path: entry.digest for path, entry in found.items() if entry.digest}
            unknown = [path for path, entry in found.items() if not entry.digest]
            for batch in _batches(unknown, lambda path: found[path].size):
                await self._take(batch, digests)
            changed: dict[str, str | None] = {
                path: digest for path, digest in digests.items() if self._committed.get(path) != digest
            }
            changed |= dict.fromkeys(path for path in self._committed if path not in digests)
            return dict(sorted(changed.items()))

    async def _take(self, batch: list[str], digests: dict[str, str]) -> None:
        taken = await self._threaded(lambda: [self._tree.take(path) for path in batch])
        new: list[bytes] = []
        for path, one in zip(batch, taken, strict=True):
            if one is None:
                continue  # gone since the scan
            content, digest = one
            digests[path] = digest
            if self._committed.get(path) != digest:
                new.append(content)
        await _all([self._blobs.put(content) for content in new])

    def committed(self, changes: Mapping[str, str | None]) -> None:
        """Take changes as committed, so that `changes` counts from here."""
        self.dropped = ()
        for path, digest in changes.items():
            if digest is None:
                self._committed.pop(path, None)
            else:
                self._committed[path] = digest

    async def read(self, path: str) -> bytes:
        """A file's content. Raises NotFound, BadInput."""
        names = beneath.components(path)
        return await self._threaded(lambda: self._tree.read(names))

    async def write(self, path: str, content: bytes) -> None:
        """Put a file in one step. Raises BadInput, Temporary (`disk-full`)."""
        names = beneath.components(path)
        check_kept(names)
        if len(content) > self._limits.file:
            raise BadInput(
                f"'{path}' would be {len(content):,} bytes, and a file may have {self._limits.file:,}; split it"
            )
        await self._threaded(lambda: self._tree.write("/".join(names), content))

    async def delete(self, path: str) -> None:
        """Remove a file. Raises NotFound, BadInput for a folder."""
        names = beneath.components(path)
        await self._threaded(lambda: self._tree.delete(names))

    async def list(self) -> list[tuple[str, int]]:
        """Paths and sizes in bytes, sorted."""
        return await self._threaded(self._tree.list)

    async def remove(self) -> None:
        """Remove the folder and what is in it."""
        async with self._lock:
            await self._threaded(self._tree.remove)
            self._committed = {}

    async def _threaded(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with disk_errors(self._root):
                return work()

        future = asyncio.get_running_loop().run_in_executor(self._pool, guarded)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The thread goes on all the same; the lock must outlast it.
            await asyncio.wait([future])
            with suppress(asyncio.CancelledError):
                future.exception()
            raise


def _batches(paths: list[str], size: Callable[[str], int]) -> list[list[str]]:
    batches: list[list[str]] = []
    room = 0
    for path in paths:
        if not batches or len(batches[-1]) >= _BATCH or size(path) > room:
            batches.append([])
            room = _BATCH_BYTES
        batches[-1].append(path)
        room -= size(path)
    return batches


async def _all(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """What each comes to; the first error once all have ended."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
