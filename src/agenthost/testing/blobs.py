"""What every adapter of the port Blobs must do. Subclass it in a test module and give the fixture `blobs`."""

import asyncio

import pytest

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.core.ports import Blobs


class BlobsSuite:
    """The conformance suite of Blobs."""

    @pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 4096])
    async def test_what_was_put_comes_back_byte_for_byte(self, blobs: Blobs, content: bytes) -> None:
        name = await blobs.put(content)
        assert name == digest(content)
        assert await blobs.get(name) == content
        assert await blobs.size(name) == len(content)

    async def test_the_same_content_has_one_name(self, blobs: Blobs) -> None:
        assert await blobs.put(b"same") == await blobs.put(b"same")

    async def test_many_puts_at_once_of_the_same_and_of_others(self, blobs: Blobs) -> None:
        contents = [b"%d" % (number % 7) for number in range(100)]
        names = await asyncio.gather(*[blobs.put(content) for content in contents])
        assert names == [digest(content) for content in contents]
        assert await asyncio.gather(*[blobs.get(name) for name in names]) == contents

    async def test_what_was_never_put_is_not_found(self, blobs: Blobs) -> None:
        with pytest.raises(NotFound, match=digest(b"never")):
            await blobs.get(digest(b"never"))
        with pytest.raises(NotFound, match=digest(b"never")):
            await blobs.size(digest(b"never"))

    @pytest.mark.parametrize(
        "name", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, "sha256:" + "A" * 64]
    )
    async def test_what_is_no_content_hash_is_refused(self, blobs: Blobs, name: str) -> None:
        with pytest.raises(BadInput, match="not a content hash"):
            await blobs.get(name)
