"""Files by content hash on disk: `ROOT/ab/cdef...`, each written once and checked when it is read."""

import asyncio
import functools
import hashlib
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from agenthost.core.erasure import Removal
from agenthost.core.errors import BadInput, NotFound, StoreDamaged
from agenthost.core.ids import digest
from agenthost.stores.durable import disk_errors, fsync_folder, put_in_place, write_all, write_temporary

T = TypeVar("T")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REMEMBERED = 100_000  # digests known to be on disk: about 15 MB at most
_USED = 60.0  # seconds after a use in which a file isn't removed: what names it may not be committed yet
_STALE = 3600.0  # seconds after which a temporary file belongs to nobody any more


def hash_of(name: str) -> str:
    """The 64 hex digits of a digest. Raises BadInput where it is none (so that no path comes in by it)."""
    if not _DIGEST.fullmatch(name):
        raise BadInput(f"'{name[:80]}' is not a content hash; give sha256: and 64 hex digits")
    return name.removeprefix("sha256:")


class FileBlobs:
    """The ports Blobs and Files on a folder. Works in threads of its own; `close` joins them.

    A put costs a write and two flushes; a put of something known costs a hash and a stat.
    """

    def __init__(self, root: Path, threads: int = 8, used_for: float = _USED) -> None:
        self._root = root
        self.used_for = used_for
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blobs")
        self._lock = threading.Lock()
        self._ready = False
        self._folders: set[str] = set()
        self._durable: dict[str, None] = {}
        self._uses: OrderedDict[str, float] = OrderedDict()
        self._forgotten = 0.0

    async def put(self, content: bytes) -> str:
        """Keep `content`; its digest. Raises Temporary (`disk-full`) or Unavailable."""
        return await self._threaded(lambda: self._put(content))

    async def put_stream(self, pieces: AsyncIterable[bytes]) -> tuple[str, int]:
        """Keep what comes without holding it; digest and size. Raises as `put` does, and what `pieces` raises."""
        arriving = await self._threaded(self._arrival)
        try:
            async for piece in pieces:
                await self._threaded(functools.partial(self._arrive, arriving, piece))
            return await self._threaded(lambda: self._arrived(arriving))
        finally:
            await self._threaded(arriving.discard)

    async def read(self, digest: str, start: int, length: int) -> bytes:
        """A part of the content. Raises NotFound, or BadInput where `digest` is none."""
        return await self._threaded(lambda: self._read(digest, start, length))

    async def get(self, digest: str) -> bytes:
        """The content. Raises NotFound, StoreDamaged, or BadInput where `digest` is none."""
        return await self._threaded(lambda: self._get(digest))

    async def size(self, digest: str) -> int:
        """The content's size in bytes. Raises NotFound, or BadInput where `digest` is none."""
        return await self._threaded(lambda: self._size(digest))

    async def remove(self, digest: str, since: float) -> Removal:
        """Remove what nobody needs any more. It stays (`used`) where it was used after `since` (of `time.monotonic`), or
        shortly before."""
        return await self._threaded(lambda: self._remove(digest, since - self.used_for))

    async def close(self) -> None:
        """End the threads, after what they are at."""
        await asyncio.to_thread(self._pool.shutdown)

    async def _threaded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _path(self, name: str) -> Path:
        hexes = hash_of(name)
        return self._root / hexes[:2] / hexes[2:]

    def _put(self, content: bytes) -> str:
        name = digest(content)
        path = self._path(name)
        self._use(name)
        with disk_errors(self._root):
            if self._has(path, len(content)):
                if name not in self._durable:
                    # It may have been renamed this moment by another thread, or before a crash.
                    fsync_folder(path.parent)
                    fsync_folder(self._root)
                    self._remember(name)
                return name
            self._folder(path.parent)
            put_in_place(write_temporary(self._root / "tmp", content, 0o600), path)
        self._remember(name)
        return name

    def _arrival(self) -> "_Arriving":
        with disk_errors(self._root):
            self._folder(self._root / "tmp")
            return _Arriving(self._root / "tmp")

    def _arrive(self, arriving: "_Arriving", piece: bytes) -> None:
        with disk_errors(self._root):
            arriving.add(piece)

    def _arrived(self, arriving: "_Arriving") -> tuple[str, int]:
        name = "sha256:" + arriving.hash.hexdigest()
        path = self._path(name)
        self._use(name)
        with disk_errors(self._root):
            arriving.flush()
            self._folder(path.parent)
            # The same content again takes the place of what is there: nobody can tell the difference.
            arriving.move(path)
            fsync_folder(path.parent)
        self._remember(name)
        return name, arriving.size

    def _read(self, name: str, start: int, length: int) -> bytes:
        try:
            with self._path(name).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except FileNotFoundError:
            raise _unknown(name) from None

    @staticmethod
    def _has(path: Path, size: int) -> bool:
        try:
            return path.stat().st_size == size
        except FileNotFoundError:
            return False

    def _remember(self, name: str) -> None:
        with self._lock:
            while len(self._durable) >= _REMEMBERED:
                del self._durable[next(iter(self._durable))]
            self._durable[name] = None

    def _folder(self, folder: Path) -> None:
        with self._lock:
            if not self._ready:
                (self._root / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
                self._sweep()
                fsync_folder(self._root.parent)
                self._ready = True
            if folder.name not in self._folders:
                folder.mkdir(mode=0o700, exist_ok=True)
                fsync_folder(self._root)
                self._folders.add(folder.name)

    def _sweep(self) -> None:
        # What a killed process left; a younger file may be another process's put.
        for left in (self._root / "tmp").iterdir():
            with suppress(OSError):
                if left.stat().st_mtime < time.time() - _STALE:
                    left.unlink()

    def _use(self, name: str) -> None:
        """Somebody uses it now: said before it is looked at, so that it is either kept, or seen to be gone."""
        with self._lock:
            self._uses[name] = time.monotonic()
            self._uses.move_to_end(name)
            if len(self._uses) > _REMEMBERED:
                _, self._forgotten = self._uses.popitem(last=False)

    def _remove(self, name: str, since: float) -> Removal:
        path = self._path(name)
        with self._lock:
            # What was used before the uses that are remembered can't be told from what wasn't.
            if self._uses.get(name, 0.0) > since or self._forgotten > since:
                return "used"
            self._durable.pop(name, None)
            try:
                path.unlink()
            except FileNotFoundError:
                return "absent"
        fsync_folder(path.parent)
        return "removed"

    def _size(self, name: str) -> int:
        self._use(name)
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError:
            raise _unknown(name) from None

    def _get(self, name: str) -> bytes:
        path = self._path(name)
        self._use(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise _unknown(name) from None
        if digest(content) != name:
            raise StoreDamaged(
                f"the file {path} no longer has the content that its name says; bring it back from a backup, "
                "or delete it and give the file again",
                digest=name,
            )
        return content


class _Arriving:
    """A file that comes in pieces, under a name of its own until it is all there."""

    def __init__(self, folder: Path) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._path: Path | None = folder / f"{secrets.token_hex(12)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)

    def add(self, piece: bytes) -> None:
        self.hash.update(piece)
        self.size += len(piece)
        write_all(self._descriptor, piece)

    def flush(self) -> None:
        os.fsync(self._descriptor)

    def move(self, path: Path) -> None:
        assert self._path is not None
        os.replace(self._path, path)
        self._path = None

    def discard(self) -> None:
        """Let go of it; where it wasn't moved, nothing stays."""
        os.close(self._descriptor)
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()


def _unknown(name: str) -> NotFound:
    return NotFound(f"no file with the content hash {name} is kept here")
