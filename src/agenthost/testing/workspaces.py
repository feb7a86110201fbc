# ruff: noqa: ASYNC240 - the suite looks at the disk directly, as a sandbox would
"""What every adapter of the port Workspaces must do, whatever a sandbox did in the folder.

Subclass it in a test module and give the fixtures `blobs` and `workspaces` (which uses `blobs`).
"""

import os
import shutil
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput, NotFound
from agenthost.core.ids import digest
from agenthost.core.ports import Blobs, Workspaces

OUT = ["../x", "a/../../x", "/etc/passwd", "..", "", ".", "a/", "a\0b", "a/../b", "x" * 256, "a/" * 600 + "b", "\ud800"]


class WorkspacesSuite:
    """The conformance suite of Workspaces and Workspace."""

    @pytest.mark.parametrize("id", ["0abc", "0abc.c1.c2", "a~copy-1", "..", ".", "", "a/b", "A%2Fb", "ü", "x." * 300])
    async def test_any_id_has_a_folder_of_its_own(self, workspaces: Workspaces, id: str) -> None:
        workspace = workspaces.workspace(id)
        other = workspaces.workspace("another")
        await workspace.restore({})
        await workspace.write("a", b"1")
        await other.restore({})
        assert Path(workspace.folder, "a").read_bytes() == b"1"
        assert Path(workspace.folder).parent == Path(other.folder).parent
        assert await other.list() == []

    async def test_what_is_written_is_read_listed_and_deleted(self, workspaces: Workspaces) -> None:
        workspace = workspaces.workspace("w")
        await workspace.write("src/main.py", b"print(1)\n")
        await workspace.write("./src//main.py", b"print(2)\n")
        await workspace.write("README", b"")
        assert await workspace.read("src/main.py") == b"print(2)\n"
        assert await workspace.list() == [("README", 0), ("src/main.py", 9)]
        await workspace.delete("src/main.py")
        assert await workspace.list() == [("README", 0)]
        with pytest.raises(NotFound, match="src/main.py"):
            await workspace.read("src/main.py")
        with pytest.raises(NotFound, match="src/main.py"):
            await workspace.delete("src/main.py")

    @pytest.mark.parametrize("path", OUT)
    async def test_a_path_that_may_lead_out_is_refused(self, workspaces: Workspaces, path: str) -> None:
        workspace = workspaces.workspace("w")
        await workspace.restore({})
        with pytest.raises(BadInput):
            await workspace.read(path)
        with pytest.raises(BadInput):
            await workspace.write(path, b"x")
        with pytest.raises(BadInput):
            await workspace.delete(path)

    @pytest.mark.parametrize("target", ["/etc", "..", "../.."])
    async def test_a_link_leads_nowhere(self, workspaces: Workspaces, tmp_path: Path, target: str) -> None:
        workspace = workspaces.workspace("w")
        await workspace.restore({})
        outside = tmp_path / "outside"
        outside.write_text("kept")
        folder = Path(workspace.folder)
        (folder / "way").symlink_to(target)
        (folder / "file").symlink_to(outside)
        for path in ("way/passwd", "file"):
            with pytest.raises(BadInput, match="link"):
                await workspace.read(path)
        with pytest.raises(BadInput, match="link"):
            await workspace.write("way/new", b"x")
        with pytest.raises(BadInput, match="link"):
            await workspace.delete("way/passwd")
        await workspace.write("file", b"replaced the link itself")
        assert outside.read_text() == "kept"
        assert await workspace.read("file") == b"replaced the link itself"

    async def test_changes_are_what_differs_and_their_content_is_kept(
        self, workspaces: Workspaces, blobs: Blobs
    ) -> None:
        workspace = workspaces.workspace("w")
        kept = {name: await blobs.put(name.encode()) for name in ("same", "edited", "gone")}
        await workspace.restore(kept)
        folder = Path(workspace.folder)
        (folder / "edited").write_bytes(b"other")
        (folder / "gone").unlink()
        (folder / "new/deep").mkdir(parents=True)
        (folder / "new/deep/file").write_bytes(b"\x00\xff")
        changes = await workspace.changes()
        assert changes == {"edited": digest(b"other"), "gone": None, "new/deep/file": digest(b"\x00\xff")}
        assert await blobs.get(digest(b"\x00\xff")) == b"\x00\xff"
        assert await workspace.changes() == changes
        workspace.committed(changes)
        assert await workspace.changes() == {}

    async def test_a_change_that_keeps_size_and_time_is_seen(self, workspaces: Workspaces) -> None:
        workspace = workspaces.workspace("w")
        await workspace.write("a", b"1111")
        workspace.committed(await workspace.changes())
        path = Path(workspace.folder, "a")
        facts = path.stat()
        path.write_bytes(b"2222")
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert await workspace.changes() == {"a": digest(b"2222")}

    async def test_links_pipes_and_empty_folders_are_not_kept(self, workspaces: Workspaces) -> None:
        workspace = workspaces.workspace("w")
        await workspace.restore({})
        folder = Path(workspace.folder)
        (folder / "link").symlink_to("/etc/passwd")
        (folder / "loop").symlink_to(".")
        os.mkfifo(folder / "pipe")
        (folder / "empty").mkdir()
        (folder / "file").write_bytes(b"1")
        assert await workspace.changes() == {"file": digest(b"1")}
        assert sorted(os.listdir(folder)) in (["empty", "file"], ["file"])

    async def test_caches_are_no_work(self, workspaces: Workspaces) -> None:
        workspace = workspaces.workspace("w")
        await workspace.restore({})
        cache = Path(workspace.folder, "pkg/__pycache__")
        cache.mkdir(parents=True)
        (cache / "x.pyc").write_bytes(b"1")
        assert await workspace.changes() == {}
        assert await workspace.list() == []
        with pytest.raises(BadInput, match="cache"):
            await workspace.write("pkg/__pycache__/y.pyc", b"1")

    async def test_restore_makes_exactly_the_committed_files(self, workspaces: Workspaces, blobs: Blobs) -> None:
        workspace = workspaces.workspace("w")
        await workspace.restore({"a": await blobs.put(b"1"), "x/y": await blobs.put(b"2"), "z": await blobs.put(b"3")})
        folder = Path(workspace.folder)
        (folder / "a").unlink()
        (folder / "a/b/c").mkdir(parents=True)
        (folder / "a/b/d").write_bytes(b"more")
        shutil.rmtree(folder / "x")
        (folder / "x").symlink_to("/etc")
        (folder / "__pycache__").mkdir()
        (folder / "other").write_bytes(b"1")
        wanted = {"a": digest(b"1"), "x/y": digest(b"2")}
        for _ in range(2):
            await workspace.restore(wanted)
            assert await workspace.list() == [("a", 1), ("x/y", 1)]
            assert sorted(os.listdir(folder)) == ["a", "x"]
            assert await workspace.changes() == {}

    async def test_restore_leaves_what_is_right_alone(self, workspaces: Workspaces, blobs: Blobs) -> None:
        workspace = workspaces.workspace("w")
        wanted = {"a": await blobs.put(b"1"), "b/c": await blobs.put(b"2")}
        await workspace.restore(wanted)
        before = {path: Path(workspace.folder, path).stat().st_ino for path in wanted}
        await workspace.restore(wanted)
        assert {path: Path(workspace.folder, path).stat().st_ino for path in wanted} == before

    async def test_a_discarded_workspace_is_gone_and_can_be_restored(
        self, workspaces: Workspaces, blobs: Blobs
    ) -> None:
        workspace = workspaces.workspace("w")
        wanted = {"a/b": await blobs.put(b"1")}
        await workspace.restore(wanted)
        await workspaces.discard("w")
        assert not Path(workspace.folder).exists()
        await workspaces.discard("w")
        again = workspaces.workspace("w")
        await again.restore(wanted)
        assert await again.read("a/b") == b"1"
