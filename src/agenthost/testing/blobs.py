"""What every adapter of the ports Blobs and Files must do. Subclass it in a test module and give the fixture `blobs`."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.core.keeping import Files


class BlobsSuite:
    """The conformance suite of Blobs."""

    @pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 4096])
    async def test_what_was_put_comes_back_byte_for_byte(self, blobs: Files, content: bytes) -> None:
        name = await blobs.put(content)
        assert name == digest(content)
        assert await blobs.get(name) == content
        assert await blobs.size(name) == len(content)

    async def test_the_same_content_has_one_name(self, blobs: Files) -> None:
        assert await blobs.put(b"same") == await blobs.put(b"same")

    @pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 4096])
    async def test_what_came_in_pieces_is_the_same_file(self, blobs: Files, content: bytes) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 100_000):
                yield content[start : start + 100_000]

        assert await blobs.put_stream(pieces()) == (digest(content), len(content))
        assert await blobs.put_stream(pieces()) == (digest(content), len(content))
        assert await blobs.put(content) == digest(content)
        assert await blobs.get(digest(content)) == content

    async def test_of_what_broke_off_nothing_is_kept(self, blobs: Files) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"the beginning"
            raise BadInput("cut off")

        with pytest.raises(BadInput, match="cut off"):
            await blobs.put_stream(pieces())
        with pytest.raises(NotFound):
            await blobs.get(digest(b"the beginning"))

    async def test_a_part_of_a_file_is_read(self, blobs: Files) -> None:
        name = await blobs.put(b"0123456789")
        assert await blobs.read(name, 0, 4) == b"0123"
        assert await blobs.read(name, 8, 100) == b"89"
        assert await blobs.read(name, 100, 5) == b""
        with pytest.raises(NotFound):
            await blobs.read(digest(b"never"), 0, 1)

    async def test_many_puts_at_once_of_the_same_and_of_others(self, blobs: Files) -> None:
        contents = [b"%d" % (number % 7) for number in range(100)]
        names = await asyncio.gather(*[blobs.put(content) for content in contents])
        assert names == [digest(content) for content in contents]
        assert await asyncio.gather(*[blobs.get(name) for name in names]) == contents

    async def test_what_was_never_put_is_not_found(self, blobs: Files) -> None:
        with pytest.raises(NotFound, match=digest(b"never")):
            await blobs.get(digest(b"never"))
        with pytest.raises(NotFound, match=digest(b"never")):
            await blobs.size(digest(b"never"))

    @pytest.mark.parametrize(
        "name", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, "sha256:" + "A" * 64]
    )
    async def test_what_is_no_content_hash_is_refused(self, blobs: Files, name: str) -> None:
        with pytest.raises(BadInput, match="not a content hash"):
            await blobs.get(name)
