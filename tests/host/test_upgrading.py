"""Data of an earlier release in this version: opened, tried on a copy, and put back."""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agenthost.core.access import Caller
from agenthost.core.api import Order
from agenthost.core.errors import BadInput, HomeBusy, NewerVersion, Temporary
from agenthost.core.ports import Filter
from agenthost.host import upgrading
from agenthost.host.host import Host, open_host
from agenthost.host.replaying.comparing import gap
from agenthost.host.settings import load
from agenthost.stores.sqlite import SQLiteStore, migrating, snapshot

FIXTURE = Path(__file__).parents[1] / "stores" / "format-1.tar.gz"
"""A home of the release before people and keys; tests/stores/make_format.py made it."""
PLAYS = 'rules:\n  - reply: {text: "You said {{said}}"}\n'
SCRIPTS = migrating.migrations()
NOW = len(SCRIPTS)


def silent(doing: str, done: int, total: int) -> None:
    """Nobody listens."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    with tarfile.open(FIXTURE) as tar:
        tar.extractall(home, filter="data")
    return home


def sql(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


async def opened(home: Path, work: bool = False) -> Host:
    plays = home.parent / "plays.yaml"
    await asyncio.to_thread(plays.write_text, PLAYS)
    return await open_host(
        load(home, {"AGENTHOST_MODEL": f"scripted:{plays}", "AGENTHOST_SANDBOX": "bubblewrap"}), work
    )


def test_the_scripts_are_numbered_without_a_gap() -> None:
    """The format is how many ran: one that came in between would never run where a later one did."""
    assert [name[:4] for name in migrating.names()] == [f"{number:04}" for number in range(1, NOW + 1)]


# --- the last release's database in this version


async def test_everything_of_an_earlier_release_is_there_and_goes_on(old: Path) -> None:
    before = await asyncio.to_thread(snapshot.facts, old / "agenthost.db")
    assert (before.format, before.tasks, before.unfinished) == (1, 9, 2)
    host = await opened(old)
    try:
        rows = {row.title or row.id: row for row in await host.tasks(Filter(limit=100))}
        assert {row.state for row in rows.values()} == {"completed", "canceled", "working", "input-required"}
        for row in rows.values():
            events = await host.events_of(row.id)
            assert gap(row, events) is None
            assert all(report.agrees for report in await host.replay(row.id))
        wrote = next(row for row in rows.values() if row.name == "writer")
        [note] = await host.artifacts(wrote.id)
        assert await host.get_file(note.digest) == b"kept since then"
        assert (await host.task(wrote.id)).spent.turns == 2
        assert set(await host.manifests("agent")) == {"echo", "asker", "writer", "slow"}
        assert await host.secrets() == ["SOME_KEY"]
    finally:
        await host.close()
    after = await asyncio.to_thread(snapshot.facts, old / "agenthost.db")
    # Each opening adds nothing, but where a task goes on.
    assert after.format == NOW and before.counts.items() <= after.counts.items()

    host = await opened(old, work=True)
    try:
        [asked] = await host.tasks(Filter(name="asker"))
        await host.reply(asked.id, "red")
        for name in ("asker", "slow"):
            for row in await host.tasks(Filter(name=name)):
                async for _ in host.follow(row.id):
                    pass
        states = {row.name: row.state for row in await host.tasks(Filter(roots_only=True))}
        assert states == dict.fromkeys(("echo", "writer", "pair", "asker"), "completed") | {"slow": "canceled"}
        assert {row.state for row in await host.tasks(Filter(name="slow"))} == {"canceled", "completed"}
    finally:
        await host.close()


async def test_a_copy_of_the_whole_database_is_kept_before_it_is_changed(old: Path) -> None:
    # What is still in the WAL belongs to it.
    reader = sqlite3.connect(old / "agenthost.db")
    reader.execute("PRAGMA journal_mode = WAL")
    reader.execute("UPDATE tasks SET title = 'in the WAL'")
    reader.commit()
    store = SQLiteStore(old / "agenthost.db")
    await store.open()
    await store.close()
    reader.close()
    assert store.migrated is not None and (store.migrated.before, store.migrated.after) == (1, NOW)
    kept = old / f"agenthost.db.before-{NOW}"
    assert store.migrated.kept == str(kept)
    assert sql(kept, "PRAGMA user_version") == [(1,)]
    assert sql(kept, "SELECT DISTINCT title FROM tasks") == [("in the WAL",)]
    assert kept.stat().st_mode & 0o777 == 0o600
    again = SQLiteStore(old / "agenthost.db")
    await again.open()
    await again.close()
    assert again.migrated is None


async def test_a_new_database_has_nothing_to_keep(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "agenthost.db")
    await store.open()
    await store.close()
    assert store.migrated is None
    assert [path.name for path in tmp_path.iterdir()] == ["agenthost.db"]


async def test_only_the_newest_copies_stay(old: Path) -> None:
    for number in (0, NOW - 1):
        shutil.copy(old / "agenthost.db", old / f"agenthost.db.before-{number}")
    (old / "agenthost.db.copy-1234.part").write_text("of one that was killed")
    await upgrading.upgrade(old)
    left = sorted(path.name for path in old.iterdir() if "before" in path.name or "part" in path.name)
    assert left == sorted([f"agenthost.db.before-{NOW}", f"agenthost.db.before-{NOW - 1}"])


async def test_where_the_copy_has_no_room_nothing_is_changed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise Temporary("the disk is full", code="disk-full")

    monkeypatch.setattr(snapshot, "copy", full)
    (old / "agenthost.db.copy-1234.part").write_text("of one that was killed, and takes the room")
    store = SQLiteStore(old / "agenthost.db")
    with pytest.raises(Temporary, match="full"):
        await store.open()
    assert not list(old.glob("*.part"))
    assert sql(old / "agenthost.db", "PRAGMA user_version") == [(1,)]
    monkeypatch.undo()
    await store.open()
    await store.close()
    assert store.migrated is not None


# --- tried on a copy


def contents(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


async def test_a_trial_reads_every_journal_of_a_copy_and_leaves_the_home_alone(old: Path) -> None:
    before = contents(old)
    found = await upgrading.try_out(old, silent)
    assert contents(old) == before
    assert found.good and found.unread == () and found.lost == ()
    assert (found.before, found.after, found.tasks, found.unfinished, found.events) == (1, NOW, 9, 2, 49)
    assert found.scripts[0] == "0002_access.sql"
    assert "+ table people" in found.changes and "+ column tasks.conversation" in found.changes
    assert "+ column people.role" not in found.changes
    assert found.size > 0 and found.free > found.size


@pytest.mark.journals("a newer host wrote a part of one")
async def test_a_trial_names_the_journals_that_this_version_cannot_read(old: Path) -> None:
    database = old / "agenthost.db"
    rows = sql(database, "SELECT id, name FROM tasks WHERE parent = '' ORDER BY id")
    ids = {name: id for id, name in rows}
    sql(database, f"UPDATE events SET kind = 'of-later', body = x'7b7d' WHERE task = '{ids['writer']}' AND seq = 3")
    sql(database, f"DELETE FROM events WHERE task = '{ids['asker']}' AND seq = 2")
    sql(
        database,
        f"DELETE FROM definitions WHERE digest IN (SELECT json_extract(body, '$.spec.bundle') FROM events WHERE task = '{ids['pair']}')",
    )
    found = await upgrading.try_out(old, silent)
    assert not found.good
    unread = {each.task: each.reason for each in found.unread}
    assert "newer AgentHost" in unread[ids["writer"]]
    assert unread[ids["asker"]] == "the journal has no event 2"
    assert ids["pair"] in unread
    assert len(unread) == 3 + 2  # the workflow's runs have its definitions


async def test_a_trial_sees_a_script_that_loses_rows_and_a_disk_without_room(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = [*SCRIPTS, "DELETE FROM ledger;\n"]
    monkeypatch.setattr(migrating, "migrations", lambda: scripts)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000_000))
    found = await upgrading.try_out(old, silent)
    assert len(found.lost) == 1 and found.lost[0].startswith("ledger: ")
    assert found.fits and not found.good
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    before = contents(old)
    with pytest.raises(BadInput, match="make room"):
        await upgrading.try_out(old, silent)
    assert contents(old) == before


async def test_what_a_killed_trial_left_goes_with_the_next_one(old: Path) -> None:
    for name, age in ((".upgrade-old", 2 * 86_400), (".upgrade-new", 60)):
        (old / name).mkdir()
        (old / name / "agenthost.db").write_text("a copy")
        os.utime(old / name, (time.time() - age,) * 2)
    await upgrading.try_out(old, silent)
    assert [path.name for path in old.glob(".upgrade-*")] == [".upgrade-new"]


async def test_a_trial_works_beside_a_host_that_works(old: Path) -> None:
    host = await opened(old, work=True)
    try:
        found = await upgrading.try_out(old, silent)
        assert found.good and found.before == NOW and found.changes == ()
    finally:
        await host.close()


# --- and back


async def test_the_way_back_is_the_database_as_it_was(old: Path) -> None:
    before = sorted(sql(old / "agenthost.db", "SELECT task, seq, body FROM events"))
    done = await upgrading.upgrade(old)
    assert done is not None and await upgrading.upgrade(old) is None
    back = await asyncio.to_thread(upgrading.go_back, old, False)
    assert back.events == 0 and back.copy.format == 1
    assert sql(old / "agenthost.db", "PRAGMA user_version") == [(1,)]
    assert sorted(sql(old / "agenthost.db", "SELECT task, seq, body FROM events")) == before
    assert sql(Path(back.kept), "PRAGMA user_version") == [(NOW,)]
    assert not (old / f"agenthost.db.before-{NOW}").exists()
    host = await opened(old)
    assert len(await host.tasks(Filter(limit=100))) == 9
    await host.close()


async def test_what_was_written_since_is_only_given_up_with_force(old: Path) -> None:
    host = await opened(old)
    row = await host.start(Order("echo", "since then"))
    async for _ in host.follow(row.id):
        pass
    with pytest.raises(HomeBusy):
        await asyncio.to_thread(upgrading.go_back, old, True)
    await host.close()
    with pytest.raises(BadInput, match="events were written since the upgrade"):
        await asyncio.to_thread(upgrading.go_back, old, False)
    back = await asyncio.to_thread(upgrading.go_back, old, True)
    assert back.events > 0
    assert sql(old / "agenthost.db", f"SELECT count(*) FROM tasks WHERE id = '{row.id}'") == [(0,)]
    assert sql(Path(back.kept), f"SELECT count(*) FROM tasks WHERE id = '{row.id}'") == [(1,)]


async def test_what_was_deleted_since_hides_nothing_that_was_written(old: Path) -> None:
    host = await opened(old)
    row = await host.start(Order("echo", "since then"))
    async for _ in host.follow(row.id):
        pass
    for ended in await host.tasks(Filter(states=("completed",), roots_only=True, limit=100)):
        if ended.id != row.id:
            await host.erasure.task(Caller(), ended.id, False)
    await host.close()
    with pytest.raises(BadInput, match=r"^\d+ events were written since the upgrade"):
        await asyncio.to_thread(upgrading.go_back, old, False)


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from agenthost.stores.sqlite import connection, migrating

at, made = int(sys.argv[2]), 0
statements = migrating._statements

def deadly(script):
    global made
    for statement in statements(script):
        made += 1
        if made == at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield statement

migrating._statements = deadly
connection.open_migrated(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("at", [1, 3, 12, 30])
async def test_a_migration_that_is_killed_in_the_middle_has_changed_nothing(old: Path, at: int) -> None:
    file = old / "agenthost.db"
    before = sorted(sql(file, "SELECT task, seq, body FROM events"))
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(file), str(at))
    assert await done.wait() == -signal.SIGKILL
    assert sql(file, "PRAGMA user_version") == [(1,)]
    assert sql(file, "SELECT count(*) FROM sqlite_schema WHERE name = 'people'") == [(0,)]
    host = await opened(old)
    assert len(await host.tasks(Filter(limit=100))) == 9
    await host.close()
    assert sorted(sql(file, "SELECT task, seq, body FROM events")) == before


async def test_without_a_copy_there_is_no_way_back(old: Path) -> None:
    with pytest.raises(BadInput, match="no copy from before an upgrade"):
        await asyncio.to_thread(upgrading.go_back, old, False)
    with pytest.raises(BadInput, match="there is no database"):
        await upgrading.upgrade(old / "blobs")


async def test_a_database_of_a_newer_format_names_the_copy_that_this_version_reads(old: Path) -> None:
    await upgrading.upgrade(old)
    sql(old / "agenthost.db", f"PRAGMA user_version = {NOW + 1}")
    with pytest.raises(NewerVersion, match="agenthost upgrade --back"):
        await opened(old)
