import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from agenthost.core.errors import BadInput, NotFound, StoreDamaged, Unavailable
from agenthost.core.ids import digest
from agenthost.stores.blobs import FileBlobs
from agenthost.stores.memory_blobs import MemoryBlobs
from agenthost.testing.blobs import BlobsSuite


class TestFileBlobs(BlobsSuite):
    @pytest.fixture
    async def blobs(self, tmp_path: Path) -> AsyncIterator[FileBlobs]:
        blobs = FileBlobs(tmp_path / "home/blobs")
        yield blobs
        await blobs.close()


class TestMemoryBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self) -> MemoryBlobs:
        return MemoryBlobs()


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FileBlobs]:
    blobs = FileBlobs(tmp_path / "blobs")
    yield blobs
    await blobs.close()


def path_of(root: Path, name: str) -> Path:
    hexes = name.removeprefix("sha256:")
    return root / "blobs" / hexes[:2] / hexes[2:]


async def test_a_file_stands_under_its_hash_for_its_owner_only(blobs: FileBlobs, tmp_path: Path) -> None:
    name = await blobs.put(b"content")
    assert path_of(tmp_path, name).read_bytes() == b"content"
    assert path_of(tmp_path, name).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "blobs/tmp") == []


async def test_putting_what_is_known_writes_nothing(blobs: FileBlobs, tmp_path: Path) -> None:
    name = await blobs.put(b"content")
    before = path_of(tmp_path, name).stat()
    await blobs.put(b"content")
    other = FileBlobs(tmp_path / "blobs")
    await other.put(b"content")
    await other.close()
    after = path_of(tmp_path, name).stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)


@pytest.mark.parametrize("damage", [b"Content", b"", b"content and more"])
async def test_a_damaged_file_is_never_handed_out(blobs: FileBlobs, tmp_path: Path, damage: bytes) -> None:
    name = await blobs.put(b"content")
    path_of(tmp_path, name).write_bytes(damage)
    with pytest.raises(StoreDamaged, match="no longer has the content.*backup"):
        await blobs.get(name)


async def test_putting_again_mends_a_file_that_was_cut_short(blobs: FileBlobs, tmp_path: Path) -> None:
    name = await blobs.put(b"content")
    path_of(tmp_path, name).write_bytes(b"con")
    await blobs.put(b"content")
    assert await blobs.get(name) == b"content"


async def test_what_a_killed_process_left_is_swept_and_young_files_are_not(tmp_path: Path) -> None:
    temporary = tmp_path / "blobs/tmp"
    temporary.mkdir(parents=True)
    (temporary / "old.tmp").write_bytes(b"1")
    os.utime(temporary / "old.tmp", (time.time() - 7200,) * 2)
    (temporary / "young.tmp").write_bytes(b"1")
    blobs = FileBlobs(tmp_path / "blobs")
    await blobs.put(b"x")
    await blobs.close()
    assert os.listdir(temporary) == ["young.tmp"]


async def test_the_event_loop_is_never_blocked(blobs: FileBlobs) -> None:
    with blockbuster_ctx():
        name = await blobs.put(b"x" * 100_000)
        assert await blobs.get(name) == b"x" * 100_000


async def test_close_ends_the_threads(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    before = threading.active_count()
    await asyncio.gather(*[blobs.put(b"%d" % number) for number in range(20)])
    mine = [thread for thread in threading.enumerate() if thread.name.startswith("blobs")]
    assert mine and threading.active_count() >= before
    await blobs.close()
    assert not any(thread.is_alive() for thread in mine)


def test_a_full_disk_is_temporary_and_leaves_no_litter(tmp_path: Path) -> None:
    # A size limit on the files of a process of its own stands for the full disk: the same call fails.
    script = """
        import asyncio, os, resource, sys
        from pathlib import Path
        from agenthost.core.errors import Temporary
        from agenthost.stores.blobs import FileBlobs

        async def main():
            blobs = FileBlobs(Path(sys.argv[1]))
            await blobs.put(b"small")
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            try:
                await blobs.put(b"x" * 100_000)
            except Temporary as error:
                print(error.code, "free some space" in error.message)
            print(await blobs.put(b"other small"))
            await blobs.close()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "blobs")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["disk-full True", digest(b"other small")]
    assert os.listdir(tmp_path / "blobs/tmp") == []
    assert not path_of(tmp_path, digest(b"x" * 100_000)).exists()


async def test_a_home_that_cannot_be_written_is_named() -> None:
    blobs = FileBlobs(Path("/sys/agenthost/blobs"))  # nobody may make a folder there, not even root
    with pytest.raises(Unavailable, match="AGENTHOST_HOME"):
        await blobs.put(b"x")
    await blobs.close()


async def test_what_is_used_while_it_is_to_be_removed_stays_or_is_written_again(tmp_path: Path) -> None:
    """Many put the same few files while they are removed again and again: nobody removes what was put after they looked."""
    blobs = FileBlobs(tmp_path / "blobs", used_for=0.0)
    contents = [b"content %d" % number for number in range(4)]
    names = [await blobs.put(content) for content in contents]

    async def use(number: int) -> None:
        for turn in range(60):
            since = time.monotonic()
            which = (number + turn) % 4
            assert await blobs.put(contents[which]) == names[which]
            assert await blobs.remove(names[which], since) != "removed"

    async def remove() -> None:
        for turn in range(120):
            await blobs.remove(names[turn % 4], time.monotonic())

    await asyncio.gather(*(use(number) for number in range(6)), remove(), remove())
    for content in contents:
        assert await blobs.get(await blobs.put(content)) == content
    assert await blobs.remove(names[0], time.monotonic()) == "removed"
    assert await blobs.remove(names[0], time.monotonic()) == "absent"
    with pytest.raises(NotFound):
        await blobs.get(names[0])
    assert await blobs.put(contents[0]) == names[0]
    assert await blobs.get(names[0]) == contents[0]
    await blobs.close()


async def test_a_file_used_shortly_before_is_not_removed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    name = await blobs.put(b"just now")
    assert await blobs.remove(name, time.monotonic()) == "used"
    assert await blobs.get(name) == b"just now"
    assert await blobs.remove(name, time.monotonic() + 120) == "removed"
    await blobs.close()


async def test_a_stream_that_is_cut_leaves_no_file_behind(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise BadInput("cut off")

    with pytest.raises(BadInput):
        await blobs.put_stream(pieces())
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    await blobs.close()
