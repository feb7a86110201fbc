"""Files by content hash in memory: the twin of `blobs` for tests and for work that leaves nothing."""

from collections.abc import AsyncIterable

from agenthost.core.errors import NotFound
from agenthost.core.ids import digest
from agenthost.stores.blobs import hash_of


class MemoryBlobs:
    """The port Blobs on a dictionary. It keeps nothing when the process ends."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        """Keep `content`; its digest."""
        name = digest(content)
        self._contents[name] = content
        return name

    async def get(self, digest: str) -> bytes:
        """The content. Raises NotFound, or BadInput where `digest` is none."""
        hash_of(digest)
        if digest not in self._contents:
            raise NotFound(f"no file with the content hash {digest} is kept here")
        return self._contents[digest]

    async def put_stream(self, pieces: AsyncIterable[bytes]) -> tuple[str, int]:
        """Keep what comes; digest and size."""
        content = b"".join([piece async for piece in pieces])
        return await self.put(content), len(content)

    async def read(self, digest: str, start: int, length: int) -> bytes:
        """A part of the content. Raises NotFound, or BadInput where `digest` is none."""
        return (await self.get(digest))[start : start + length]

    async def size(self, digest: str) -> int:
        """The content's size in bytes. Raises NotFound, or BadInput where `digest` is none."""
        return len(await self.get(digest))
