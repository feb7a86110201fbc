import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.stores.folders import apply_folder, import_folder
from agenthost.stores.memory_blobs import MemoryBlobs
from agenthost.stores.tree import WorkspaceLimits

Made = dict[str, str]


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def keep(blobs: MemoryBlobs, files: dict[str, bytes]) -> Made:
    return {path: await blobs.put(content) for path, content in files.items()}


async def test_files_come_in_and_histories_environments_caches_and_links_stay_out(
    tmp_path: Path, blobs: MemoryBlobs
) -> None:
    fill(
        tmp_path, {"main.py": b"1", "src/a.py": b"2", ".git/HEAD": b"x", "web/node_modules/x.js": b"x", ".venv/x": b"x"}
    )
    fill(tmp_path, {"src/__pycache__/a.pyc": b"x"})
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    taken = await import_folder(tmp_path, blobs)
    assert taken.files == {"main.py": digest(b"1"), "src/a.py": digest(b"2")}
    assert await blobs.get(digest(b"2")) == b"2"
    told = "\n".join(taken.skipped)
    for words in (".git/", "web/node_modules/", ".venv/", "src/__pycache__/", "'link' (a link)", "'pipe' (a device"):
        assert words in told


async def test_bounds_are_honoured(tmp_path: Path, blobs: MemoryBlobs) -> None:
    fill(tmp_path, {f"f{n}": b"x" * 10 for n in range(5)} | {"big": b"x" * 100})
    taken = await import_folder(tmp_path, blobs, WorkspaceLimits(file=50))
    assert "big" not in taken.files and "'big' (larger than 50 bytes)" in taken.skipped
    with pytest.raises(BadInput, match="more than 4 files"):
        await import_folder(tmp_path, blobs, WorkspaceLimits(files=4))
    with pytest.raises(BadInput, match="more than 120 bytes"):
        await import_folder(tmp_path, blobs, WorkspaceLimits(total=120))


async def test_a_folder_that_is_none_is_told(tmp_path: Path, blobs: MemoryBlobs) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        await import_folder(tmp_path / "none", blobs)
    fill(tmp_path, {"file": b""})
    with pytest.raises(BadInput, match="is not a folder"):
        await import_folder(tmp_path / "file", blobs)


async def test_changes_go_back_and_the_rest_stays(tmp_path: Path, blobs: MemoryBlobs) -> None:
    fill(tmp_path, {"a": b"1", "run.sh": b"#!/bin/sh\n", "old/b": b"2", "same": b"3", ".git/HEAD": b"x"})
    (tmp_path / "run.sh").chmod(0o750)
    before = (await import_folder(tmp_path, blobs)).files
    after = await keep(blobs, {"a": b"11", "run.sh": b"#!/bin/sh\ntrue\n", "new/c": b"4", "same": b"3"})
    applied = await apply_folder(tmp_path, before, after, blobs)
    assert applied.written == ("a", "new/c", "run.sh") and applied.removed == ("old/b",) and not applied.conflicts
    assert content_of(tmp_path) == {
        "a": b"11", "run.sh": b"#!/bin/sh\ntrue\n", "new/c": b"4", "same": b"3", ".git/HEAD": b"x"
    }  # fmt: skip
    assert (tmp_path / "run.sh").stat().st_mode & 0o777 == 0o750
    assert not (tmp_path / "old").exists()
    again = await apply_folder(tmp_path, before, after, blobs)
    assert again == type(again)()


@pytest.mark.parametrize("meanwhile", ["changed", "removed", "made", "linked", "folder"])
async def test_what_somebody_changed_meanwhile_is_a_conflict_and_nothing_is_written(
    tmp_path: Path, blobs: MemoryBlobs, meanwhile: str
) -> None:
    fill(tmp_path, {"a": b"1", "b": b"2"})
    before = (await import_folder(tmp_path, blobs)).files
    after = await keep(blobs, {"a": b"11", "b": b"22", "c": b"33"})
    conflict = "b"
    if meanwhile == "changed":
        fill(tmp_path, {"b": b"theirs"})
    elif meanwhile == "made":
        conflict = "c"
        fill(tmp_path, {"c": b"theirs"})
    else:
        (tmp_path / "b").unlink()
        if meanwhile == "linked":
            (tmp_path / "b").symlink_to("a")
        elif meanwhile == "folder":
            fill(tmp_path, {"b/x": b"theirs"})
    there = content_of(tmp_path)
    applied = await apply_folder(tmp_path, before, after, blobs)
    assert applied.conflicts == (conflict,)
    assert content_of(tmp_path) == there


async def test_a_link_in_the_folder_is_never_followed(tmp_path: Path, blobs: MemoryBlobs) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    fill(folder, {"a": b"1"})
    outside.mkdir()
    (folder / "way").symlink_to(outside)
    before = (await import_folder(folder, blobs)).files
    applied = await apply_folder(folder, before, before | await keep(blobs, {"way/x": b"2"}), blobs)
    assert applied.conflicts == ("way/x",)
    assert os.listdir(outside) == []


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


def _fits(files: dict[str, bytes]) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}
    for path in sorted(files, key=len):
        if not any(path.startswith(other + "/") for other in kept):
            kept[path] = files[path]
    return kept


FILES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=6).map(_fits)


@settings(deadline=None, max_examples=60)
@given(FILES, FILES)
def test_any_change_of_a_folder_can_be_put_back(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    async def play(folder: Path) -> None:
        blobs = MemoryBlobs()
        fill(folder, first)
        before = (await import_folder(folder, blobs)).files
        assert before == await keep(blobs, first)
        applied = await apply_folder(folder, before, await keep(blobs, second), blobs)
        assert not applied.conflicts
        assert content_of(folder) == second

    with TemporaryDirectory() as made:
        asyncio.run(play(Path(made)))
