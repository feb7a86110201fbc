"""Back-ups as files: what is in them, what is refused, and homes that they are put into."""

import asyncio
import gzip
import io
import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agenthost.core.errors import BadInput, HomeBusy, NewerVersion, StoreDamaged
from agenthost.core.ports import Filter
from agenthost.stores.backups import archive, create, home, restore
from agenthost.stores.blobs import FileBlobs
from agenthost.stores.home import RESTORING, HomeLock
from agenthost.stores.secrets import FileSecrets
from agenthost.stores.sqlite import SQLiteStore, snapshot
from agenthost.testing.stores import event, owned, step


def silent(doing: str, done: int, total: int) -> None:
    """Nobody listens."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A home with a task, files, settings, a secret, and what doesn't belong into a back-up."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    asyncio.run(_fill(folder))
    (folder / "agenthost.toml").write_text('[models]\ndefault = "x:y"\n')
    (folder / "manifests" / "deep").mkdir(parents=True)
    (folder / "manifests" / "deep" / "a.yaml").write_text("kind: Agent")
    for left in ("cache", "workspaces", "logs", "models"):
        (folder / left).mkdir()
        (folder / left / "some").write_text("left out")
    (folder / "token").write_text("the owner's")
    return folder


async def _fill(folder: Path) -> None:
    store, blobs = SQLiteStore(folder / "agenthost.db"), FileBlobs(folder / "blobs")
    await store.open()
    await owned(store, "t1")
    used, shown = await blobs.put(b"of a workspace"), await blobs.put(b"named by a shelved event")
    shelved = await blobs.put(b'{"type":"noted","text":"' + shown.encode() + b'"}')
    lost = await blobs.put(b"nobody names this")
    body = b'{"$blob":"' + shelved.encode() + b'"}'
    told = msgspec.structs.replace(event(2), body=body)
    await store.append(msgspec.structs.replace(step("t1", 2, workspace="t1", files={"a.txt": used}), events=(told,)))
    await store.close()
    await blobs.close()
    await FileSecrets(folder).set("KEY", "a value")
    assert (folder / "blobs" / lost[7:9] / lost[9:]).exists()


def make(kept: Path, target: Path, secrets: bool = True) -> create.Made:
    return create.create(create.Wanted(kept, "0.1.0", secrets), target, silent)


def names(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def test_it_holds_what_the_database_names_and_what_nobody_makes_again(kept: Path, tmp_path: Path) -> None:
    made = make(kept, tmp_path / "b.gz")
    inside = names(tmp_path / "b.gz")
    assert inside[0] == "backup.json" and inside[-1] == "parts.json"
    assert [name for name in inside if name.startswith("home/")] == [
        f"home/{name}" for name in ("agenthost.toml", "manifests/deep/a.yaml", "secret.key", "secrets.json", "token")
    ]
    assert len([name for name in inside if name.startswith("blobs/")]) == 3
    assert made.head.secrets and made.missing == ()
    assert made.head.left_out == ("models/: models are large, and fetched again by `agenthost model pull`",)
    assert (tmp_path / "b.gz").stat().st_mode & 0o777 == 0o600
    assert [each.file for each in home.noted(kept)] == [str(tmp_path / "b.gz")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.gz", "home"]


def test_without_secrets_nothing_that_opens_doors_is_in_it(kept: Path, tmp_path: Path) -> None:
    (kept / "agenthost.toml").write_text('[models.providers.x]\nbase-url = "http://x/v1"\napi-key = "sk-1"\n')
    made = make(kept, tmp_path / "b.gz", secrets=False)
    assert [name for name in names(tmp_path / "b.gz") if name.startswith("home/")] == ["home/manifests/deep/a.yaml"]
    assert not made.head.secrets
    assert {each.partition(":")[0] for each in made.head.left_out} == {
        "models/", "agenthost.toml", "secret.key", "secrets.json", "token",
    }  # fmt: skip


def test_files_that_are_gone_or_damaged_are_named_and_the_rest_is_kept(kept: Path, tmp_path: Path) -> None:
    named = sorted(snapshot.named(kept / "agenthost.db").needed)
    first, second = (kept / "blobs" / digest[7:9] / digest[9:] for digest in named)
    first.unlink()
    second.write_bytes(b"another")
    assert set(make(kept, tmp_path / "b.gz").missing) == set(named)
    assert set(restore.verify(tmp_path / "b.gz", silent)[1].missing) == set(named)


def test_it_is_never_put_over_something_and_a_folder_gets_a_name(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "b.gz").write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        make(kept, tmp_path / "b.gz")
    with pytest.raises(BadInput, match="there is no folder"):
        make(kept, tmp_path / "nowhere" / "b.gz")
    (tmp_path / "folder").mkdir()
    assert make(kept, tmp_path / "folder").file.endswith(create.SUFFIX)
    with pytest.raises(BadInput, match="there is no database"):
        make(tmp_path / "folder", tmp_path / "c.gz")
    assert (tmp_path / "b.gz").read_text() == "mine"


@pytest.mark.parametrize("doing", ["copying the database", "looking for files", "packing", "checking"])
def test_one_that_is_stopped_leaves_nothing(kept: Path, tmp_path: Path, doing: str) -> None:
    class Stopped(Exception):
        """Somebody doesn't want it any more."""

    def stop(now: str, done: int, total: int) -> None:
        if now == doing:
            raise Stopped

    (tmp_path / "to").mkdir()
    with pytest.raises(Stopped):
        create.create(create.Wanted(kept, "0.1.0"), tmp_path / "to", stop)
    assert list((tmp_path / "to").iterdir()) == []


def test_the_newest_are_kept_and_those_of_other_homes_are_left_alone(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    other = msgspec.structs.replace(make(kept, tmp_path / "x.gz").head, home="/another", made=1.0)
    files = [tmp_path / "to" / f"{number}{create.SUFFIX}" for number in range(4)]
    for file in files[:3]:
        make(kept, file)
    with archive.writing(files[3], 1.0) as writer:
        writer.words(archive.HEAD, msgspec.json.encode(other))
    assert create.prune(kept, files[2], 2) == [str(files[0])]
    assert sorted((tmp_path / "to").iterdir()) == files[1:]


# --- reading them


def test_what_is_no_backup_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no file"):
        restore.verify(tmp_path / "b.gz", silent)
    for content in (b"", b"words"):
        (tmp_path / "b.gz").write_bytes(content)
        with pytest.raises(BadInput, match="is no back-up"):
            archive.head(tmp_path / "b.gz")
    with tarfile.open(tmp_path / "c.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("other"))
    with pytest.raises(BadInput, match="is no back-up"):
        restore.verify(tmp_path / "c.gz", silent)


def test_one_that_was_cut_anywhere_is_refused(kept: Path, tmp_path: Path) -> None:
    make(kept, tmp_path / "b.gz")
    whole = (tmp_path / "b.gz").read_bytes()
    for cut in range(2, len(whole) - 8, 97):
        (tmp_path / "cut.gz").write_bytes(whole[:cut])
        with pytest.raises((StoreDamaged, BadInput)):
            restore.verify(tmp_path / "cut.gz", silent)


def test_a_byte_that_changed_is_found(kept: Path, tmp_path: Path) -> None:
    make(kept, tmp_path / "b.gz")
    whole = gzip.decompress((tmp_path / "b.gz").read_bytes())
    for word in (b"of a workspace", b"kind: Agent", b"the owner's", b'"tasks":1'):
        changed = whole.replace(word, word[:-1] + b"9", 1)
        assert changed != whole
        (tmp_path / "changed.gz").write_bytes(gzip.compress(changed))
        with pytest.raises(StoreDamaged, match="is not what was put into it"):
            restore.verify(tmp_path / "changed.gz", silent)


def evil(file: Path, *members: tuple[tarfile.TarInfo, bytes], head: archive.Head) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        body = msgspec.json.encode(head)
        for info, content in [(tarfile.TarInfo(archive.HEAD), body), *members]:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b"x" if kind == tarfile.REGTYPE else b""


@pytest.mark.parametrize(
    "bad",
    [
        member("home/../../escaped"),
        member("/etc/escaped"),
        member("escaped"),
        member("home/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("home/link", tarfile.LNKTYPE, "agenthost.db"),
        member("home/device", tarfile.CHRTYPE),
        member("home/folder", tarfile.DIRTYPE),
        member("blobs/ab/short"),
    ],
    ids=lambda bad: f"{bad[0].name}-{bad[0].type!r}",
)
def test_nothing_leaves_the_folder_that_it_is_unpacked_into(tmp_path: Path, bad: tuple[tarfile.TarInfo, bytes]) -> None:
    head = archive.Head(1.0, "0.1.0", "/h", 1, 0, 0, 1, 1000, False)
    with pytest.raises(StoreDamaged, match="no back-up has"):
        restore.restore(evil(tmp_path / "b.gz", bad, head=head), tmp_path / "home", False, silent)
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"lock"}
    assert not (tmp_path / "escaped").exists()


def test_one_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("home/much")
    head = archive.Head(1.0, "0.1.0", "/h", 1, 0, 0, 1, 1000, False)
    with pytest.raises(StoreDamaged, match="more than it says"):
        restore.verify(evil(tmp_path / "b.gz", (info, b"\0" * 1001), head=head), silent)


def test_one_that_the_disk_has_no_room_for_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    head = archive.Head(1.0, "0.1.0", "/h", 1, 0, 0, 1, 1 << 60, False)
    with pytest.raises(BadInput, match="make room"):
        restore.restore(evil(tmp_path / "b.gz", head=head), tmp_path / "home", False, silent)


@pytest.mark.parametrize(("change", "words"), [({"format": 2}, "newer"), ({"database": 999}, "format 999")])
def test_one_of_a_newer_agenthost_is_refused(tmp_path: Path, change: dict[str, int], words: str) -> None:
    head = msgspec.structs.replace(archive.Head(1.0, "9.0.0", "/h", 1, 0, 0, 1, 1, False), **change)
    with pytest.raises(NewerVersion, match=words):
        restore.restore(evil(tmp_path / "b.gz", head=head), tmp_path / "home", False, silent)


# --- putting them back


def content(folder: Path) -> dict[str, bytes]:
    """What is in a home and belongs to it."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not home.stays(path.relative_to(folder).parts[0]) and path.name != "agenthost.db"
    }
    return {name: body for name, body in found.items() if not name.startswith("workspaces")}


def opened(folder: Path) -> list[str]:
    async def look() -> list[str]:
        store = SQLiteStore(folder / "agenthost.db")
        await store.open()
        found = [row.id for row in await store.tasks(Filter())]
        await store.close()
        return found

    return asyncio.run(look())


def test_a_home_that_is_put_back_is_as_it_was(kept: Path, tmp_path: Path) -> None:
    make(kept, tmp_path / "b.gz")
    done = restore.restore(tmp_path / "b.gz", tmp_path / "new", False, silent)
    assert done.aside == "" and done.head.tasks == 1
    before = content(kept)
    unnamed = {name for name, body in before.items() if body == b"nobody names this"}
    assert content(tmp_path / "new") == {name: body for name, body in before.items() if name not in unnamed}
    assert opened(tmp_path / "new") == ["t1"]
    assert asyncio.run(FileSecrets(tmp_path / "new").get("KEY")) == "a value"
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "new").iterdir() if path.is_file()}
    assert modes == {0} and (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_held_or_not_empty_is_left_alone(kept: Path, tmp_path: Path) -> None:
    make(kept, tmp_path / "b.gz")
    before = content(kept)
    with pytest.raises(BadInput, match="isn't empty"):
        restore.restore(tmp_path / "b.gz", kept, False, silent)
    with HomeLock(kept), pytest.raises(HomeBusy):
        restore.restore(tmp_path / "b.gz", kept, True, silent)
    assert content(kept) == before


def test_with_force_what_was_there_is_kept_beside_it_and_large_things_stay(kept: Path, tmp_path: Path) -> None:
    make(kept, tmp_path / "b.gz")
    (kept / "agenthost.toml").write_text("changed")
    (kept / "more").write_text("since then")
    done = restore.restore(tmp_path / "b.gz", kept, True, silent)
    aside = Path(done.aside)
    assert aside.parent == kept and (aside / "more").read_text() == "since then"
    assert (aside / "agenthost.toml").read_text() == "changed" and (aside / "workspaces" / "some").exists()
    assert (kept / "agenthost.toml").read_text() != "changed" and not (kept / "more").exists()
    assert (kept / "models" / "some").exists() and (kept / "logs" / "some").exists()
    assert opened(kept) == opened(aside) == ["t1"]
    assert not any(name.startswith("home/before") for name in names(Path(make(kept, tmp_path / "c.gz").file)))


@pytest.mark.parametrize("at", range(1, 14))
def test_a_restore_that_is_cut_off_anywhere_is_done_again_and_loses_nothing(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    make(kept, tmp_path / "b.gz")
    (kept / "agenthost.toml").write_text("changed")
    (kept / "more").write_text("since then")
    moves, rename = 0, os.rename

    class Cut(BaseException):
        """As if the process were killed."""

    def cut(source: Path, target: Path) -> None:
        nonlocal moves
        moves += 1
        if moves == at:
            raise Cut
        rename(source, target)

    monkeypatch.setattr(os, "rename", cut)
    try:
        restore.restore(tmp_path / "b.gz", kept, True, silent)
    except Cut:
        assert (kept / RESTORING).exists() or at == 1
        if (kept / RESTORING).exists():
            with pytest.raises(BadInput, match="do it again"):
                HomeLock(kept).acquire()
        monkeypatch.setattr(os, "rename", rename)
        restore.restore(tmp_path / "b.gz", kept, True, silent)
    monkeypatch.setattr(os, "rename", rename)
    [aside] = [path for path in kept.iterdir() if path.name.startswith(home.ASIDE)]
    assert (aside / "more").read_text() == "since then" and (aside / "agenthost.toml").read_text() == "changed"
    assert opened(kept) == opened(aside) == ["t1"]
    assert (kept / "manifests" / "deep" / "a.yaml").exists() and not (kept / "more").exists()
    assert not (kept / RESTORING).exists() and not (kept / home.STAGING).exists()


# --- copies of a database in use


def test_a_copy_is_the_moment_it_began_however_much_is_written_meanwhile(tmp_path: Path) -> None:
    async def begin() -> None:
        store = SQLiteStore(tmp_path / "a.db")
        await store.open()
        for number in range(300):
            await owned(store, f"t{number}")
        await store.close()

    asyncio.run(begin())
    with closing(sqlite3.connect(tmp_path / "a.db")) as writer:
        writer.execute(
            "INSERT INTO definitions SELECT 'd' || value, zeroblob(200000) FROM json_each('[1,2,3,4,5,6,7,8,9]')"
        )
        writer.execute(
            "INSERT INTO definitions SELECT digest || 'x' || value, body FROM definitions, json_each('[1,2,3,4,5]')"
        )
        writer.commit()
        looks: list[int] = []

        def write(done: int, total: int) -> None:
            looks.append(done)
            writer.execute("INSERT INTO definitions VALUES (?, 'later')", (f"later{len(looks)}",))
            writer.execute("UPDATE tasks SET title = 'later'")
            writer.commit()

        snapshot.copy(tmp_path / "a.db", tmp_path / "b.db", write)
    assert looks == sorted(looks) and len(looks) > 1
    snapshot.check(tmp_path / "b.db")
    with closing(sqlite3.connect(tmp_path / "b.db")) as copied:
        assert copied.execute("SELECT count(*) FROM definitions WHERE digest LIKE 'later%'").fetchone() == (0,)
        assert copied.execute("SELECT DISTINCT title FROM tasks").fetchall() == [("",)]
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600
