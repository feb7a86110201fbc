import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.stores import beneath
from agenthost.stores.memory_blobs import MemoryBlobs
from agenthost.stores.tree import WorkspaceLimits
from agenthost.stores.workspaces import FolderWorkspaces, folder_name
from agenthost.testing.workspaces import WorkspacesSuite

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def workspaces(tmp_path: Path, blobs: MemoryBlobs) -> AsyncIterator[FolderWorkspaces]:
    workspaces = FolderWorkspaces(
        tmp_path / "home/workspaces", blobs, WorkspaceLimits(files=50, file=10_000, total=100_000)
    )
    yield workspaces
    await workspaces.discard("w")  # what tests build there is too deep for others to remove
    await workspaces.close()


class TestFolderWorkspaces(WorkspacesSuite):
    pass


# --- names ------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=300), min_size=2, max_size=2, unique=True))
def test_two_ids_never_share_a_folder_and_none_leads_out(ids: list[str]) -> None:
    names = [folder_name(id) for id in ids]
    assert names[0] != names[1]
    for name in names:
        assert name and "/" not in name and "\0" not in name and not name.startswith(".") and len(name.encode()) <= 255


@given(st.text(alphabet="a.b/\0~ é\ud800", max_size=40) | st.text(max_size=300))
def test_a_path_that_is_taken_names_only_things_below(path: str) -> None:
    try:
        names = beneath.components(path)
    except BadInput as error:
        assert error.message
        return
    joined = os.path.normpath(os.path.join("/w", *names))
    assert joined.startswith("/w/") and ".." not in names and "\0" not in joined
    assert beneath.components("/".join(names)) == names


# --- what a sandbox may do --------------------------------------------------------------------


async def test_a_deep_tree_is_removed_without_recursion(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    subprocess.run(
        [sys.executable, "-c", "import os\nfor _ in range(3000): os.mkdir('d' * 99); os.chdir('d' * 99)"],
        cwd=workspace.folder,
        check=True,
    )
    assert await workspace.changes() == {}
    assert any("too long" in text for text in workspace.dropped)
    await workspace.restore({})
    assert os.listdir(workspace.folder) == []


async def test_a_name_that_is_no_unicode_is_dropped_and_named(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    Path(os.fsdecode(os.fsencode(workspace.folder) + b"/\xff\xfe")).write_bytes(b"1")
    assert await workspace.changes() == {}
    assert "UTF-8" in workspace.dropped[0]
    assert os.listdir(workspace.folder) == []


async def test_a_shut_folder_and_an_unreadable_file_are_read_all_the_same(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    inner = Path(workspace.folder, "inner")
    inner.mkdir()
    (inner / "file").write_bytes(b"1")
    (inner / "file").chmod(0)
    inner.chmod(0)
    assert await workspace.changes() == {"inner/file": digest(b"1")}
    inner.chmod(0)
    assert await workspace.read("inner/file") == b"1"
    (inner / "x").mkdir()
    (inner / "x/y").write_bytes(b"2")
    (inner / "x").chmod(0)
    inner.chmod(0o500)
    await workspace.restore({})
    assert os.listdir(workspace.folder) == []


async def test_another_user_id_can_work_where_the_host_is_root(
    workspaces: FolderWorkspaces, blobs: MemoryBlobs
) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({"src/a": await blobs.put(b"1"), "b": await blobs.put(b"2")})
    # As in a sandbox: it is put into the folder, and can't walk to it through the home.
    work = "printf changed > src/a; printf new > src/new; rm b; mkdir -m 700 d"
    user = 65534 if os.geteuid() == 0 else None
    subprocess.run(["/bin/sh", "-ec", work], cwd=workspace.folder, user=user, check=True)
    assert await workspace.changes() == {"src/a": digest(b"changed"), "src/new": digest(b"new"), "b": None}
    await workspace.write("d/x", b"1")
    await workspace.restore({})
    assert os.listdir(workspace.folder) == []
    assert Path(workspace.folder).parent.stat().st_mode & 0o777 == 0o700


async def test_a_program_is_executable_by_what_it_holds(workspaces: FolderWorkspaces, blobs: MemoryBlobs) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({"run": await blobs.put(b"#!/bin/sh\necho hello\n"), "data": await blobs.put(b"x")})
    assert subprocess.run([f"{workspace.folder}/run"], capture_output=True, check=True).stdout == b"hello\n"
    assert not os.stat(f"{workspace.folder}/data").st_mode & 0o111
    Path(workspace.folder, "made").write_bytes(b"#!/bin/sh\n")
    await workspace.changes()
    assert os.stat(f"{workspace.folder}/made").st_mode & 0o111


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: [(folder / f"f{n}").touch() for n in range(51)], "more than 50 files"),
        (lambda folder: (folder / "big").write_bytes(b"x" * 10_001), "'big' has 10,001 bytes"),
        (lambda folder: [(folder / f"f{n}").write_bytes(b"x" * 10_000) for n in range(11)], "more than 100,000 bytes"),
        (lambda folder: [(folder / f"d{n}").mkdir() for n in range(201)], "more than 200 files and folders"),
        (lambda folder: os.truncate(os.open(folder / "sparse", os.O_CREAT | os.O_RDWR), 1 << 40), "'sparse' has"),
    ],
)
async def test_too_much_is_refused_with_what_to_do_and_can_be_restored(
    workspaces: FolderWorkspaces, make: object, message: str
) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    assert callable(make)
    make(Path(workspace.folder))
    with pytest.raises(BadInput, match=message):
        await workspace.changes()
    await workspace.restore({})
    assert await workspace.changes() == {}


async def test_a_file_over_the_limit_is_not_written_or_read(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")
    with pytest.raises(BadInput, match="10,001 bytes"):
        await workspace.write("big", b"x" * 10_001)
    Path(workspace.folder).mkdir(parents=True, exist_ok=True)
    Path(workspace.folder, "big").write_bytes(b"x" * 10_001)
    with pytest.raises(BadInput, match="10,001 bytes"):
        await workspace.read("big")


async def test_a_folder_where_a_file_should_be_is_told(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")
    await workspace.write("src/a", b"1")
    for work in (workspace.read("src"), workspace.write("src", b"x"), workspace.delete("src")):
        with pytest.raises(BadInput, match="'src' is a folder"):
            await work
    for work in (workspace.read("src/a/b"), workspace.write("src/a/b", b"x"), workspace.delete("src/a/b")):
        with pytest.raises(BadInput, match="'src/a' is a file or a link"):
            await work
    assert os.listdir(Path(workspace.folder).parent / ".tmp") == []


async def test_a_pipe_or_socket_never_blocks_a_read(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    os.mkfifo(f"{workspace.folder}/pipe")
    with pytest.raises(BadInput, match="not an ordinary file"):
        await workspace.read("pipe")


# --- races ------------------------------------------------------------------------------------


async def test_a_link_swapped_in_at_any_moment_leads_nowhere(workspaces: FolderWorkspaces, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret of the host")
    workspace = workspaces.workspace("w")
    await workspace.restore({})
    folder = Path(workspace.folder)
    stop = threading.Event()
    swaps = 0

    def attack() -> None:
        nonlocal swaps
        real, link = folder / "real", folder / "link"
        while not stop.is_set():
            try:
                real.mkdir(exist_ok=True)
                (real / "file").write_bytes(b"mine")
                os.rename(real, folder / "way")
                os.rename(folder / "way", real)
                link.symlink_to(outside)
                os.rename(link, folder / "way")
                os.unlink(folder / "way")
                swaps += 1
            except OSError:
                for path in (link, folder / "way"):
                    if path.is_symlink():
                        path.unlink(missing_ok=True)
            time.sleep(0)

    attacker = threading.Thread(target=attack)
    attacker.start()
    seen: set[bytes] = set()
    try:
        for turn in range(400):
            try:
                seen.add(await workspace.read("way/file"))
            except (NotFound, BadInput):
                pass
            try:
                await workspace.write("way/file", b"written")
            except (NotFound, BadInput, OSError):
                pass
            try:
                await workspace.delete("way/file")
            except (NotFound, BadInput, OSError):
                pass
            if turn % 10 == 0:
                try:
                    changes = await workspace.changes()
                    assert digest(b"secret of the host") not in changes.values()
                except OSError:
                    pass
    finally:
        stop.set()
        attacker.join()
    assert swaps > 10
    assert seen <= {b"mine", b"written", b""}
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"secret of the host"


async def test_many_writes_and_scans_at_once_lose_nothing(workspaces: FolderWorkspaces) -> None:
    workspace = workspaces.workspace("w")

    async def write(number: int) -> None:
        await workspace.write(f"d{number % 3}/f{number}", b"%d" % number)
        await workspace.changes()

    await asyncio.gather(*[write(number) for number in range(30)])
    assert await workspace.changes() == {f"d{n % 3}/f{n}": digest(b"%d" % n) for n in range(30)}


async def test_a_cancelled_restore_is_over_before_the_next_begins(
    workspaces: FolderWorkspaces, blobs: MemoryBlobs
) -> None:
    workspace = workspaces.workspace("w")
    first = {f"f{n}": await blobs.put(b"first %d" % n) for n in range(40)}
    second = {f"f{n}": await blobs.put(b"second %d" % n) for n in range(40)}
    for turn in range(20):
        going = asyncio.get_running_loop().create_task(workspace.restore(first))
        for _ in range(turn):
            await asyncio.sleep(0)
        going.cancel()
        await workspace.restore(second)
        assert await workspace.changes() == {}
        await asyncio.gather(going, return_exceptions=True)
        assert {path: await workspace.read(path) for path in second} == {f"f{n}": b"second %d" % n for n in range(40)}


async def test_the_event_loop_is_never_blocked(workspaces: FolderWorkspaces, blobs: MemoryBlobs) -> None:
    kept = {"a/b": await blobs.put(b"1")}
    with blockbuster_ctx():
        workspace = workspaces.workspace("w")
        await workspace.restore(kept)
        await workspace.write("c", b"2")
        await workspace.changes()
        await workspace.list()
        await workspace.delete("c")
        await workspaces.discard("w")


# --- round trips ------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c.py", "ü", "__pycache__", "with space"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENTS = st.binary(max_size=8)


def _fits(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without paths that need a file to be a folder, and without caches."""
    kept: dict[str, bytes] = {}
    for path in sorted(files, key=len):
        above = path.split("/")
        if "__pycache__" in above[:-1] or any("/".join(above[:n]) in kept for n in range(1, len(above))):
            continue
        if not any(other.startswith(path + "/") for other in kept):
            kept[path] = files[path]
    return kept


FILES = st.dictionaries(PATHS, CONTENTS, max_size=8).map(_fits)


@SLOW
@given(st.lists(FILES, min_size=1, max_size=4), st.lists(st.tuples(PATHS, CONTENTS | st.none()), max_size=6))
def test_restore_and_changes_are_each_others_inverse(
    states: list[dict[str, bytes]], edits: list[tuple[str, bytes | None]]
) -> None:
    async def play(root: Path) -> None:
        blobs = MemoryBlobs()
        workspaces = FolderWorkspaces(root, blobs)
        workspace = workspaces.workspace("w")
        for state in states:
            wanted = {path: await blobs.put(content) for path, content in state.items()}
            await workspace.restore(wanted)
            assert await workspace.changes() == {}
            there = {path: await workspace.read(path) for path, _ in await workspace.list()}
            assert there == state
        expected = dict(states[-1])
        for path, content in edits:
            try:
                if content is None:
                    await workspace.delete(path)
                    del expected[path]
                else:
                    await workspace.write(path, content)
                    expected[path] = content
            except BadInput:
                pass
        before = {path: digest(content) for path, content in states[-1].items()}
        after = {path: digest(content) for path, content in expected.items()}
        changes = await workspace.changes()
        assert changes == {
            path: after.get(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        }
        workspace.committed(changes)
        assert await workspace.changes() == {}
        await workspaces.close()
        # A process that knows nothing of the folder brings it to the same.
        fresh = FolderWorkspaces(root, blobs)
        await fresh.workspace("w").restore(after)
        assert await fresh.workspace("w").changes() == {}
        assert {path: await fresh.workspace("w").read(path) for path in after} == expected
        await fresh.close()

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "workspaces"))
