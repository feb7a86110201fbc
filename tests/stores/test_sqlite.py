import asyncio
import gc
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

import agenthost.stores.sqlite.connection as connection
from agenthost.core.budgets import Limits, Spend
from agenthost.core.errors import BadInput, BudgetRefused, LostLease, NewerVersion, StoreDamaged, Temporary, Unavailable
from agenthost.core.ports import Append, Filter, Settlement, StoredEvent
from agenthost.core.tasks import Scope
from agenthost.stores.sqlite import SQLiteStore
from agenthost.stores.sqlite.reads import listing
from agenthost.stores.sqlite.statements import Statements, pieces
from agenthost.testing.stores import entry, event, item, new_task, owned, step
from tests.stores.conftest import ordinary_user

# --- group commit


async def test_a_thousand_appends_at_once_are_a_few_commits_and_a_losing_one_hurts_nobody(store: SQLiteStore) -> None:
    names = [f"t{number}" for number in range(1000)]
    await asyncio.gather(*(owned(store, name) for name in names))
    before = store.commits
    appends = [store.append(step(name, 2, epoch=2 if name == "t500" else 1)) for name in names]
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert [name for name, outcome in zip(names, outcomes, strict=True) if outcome] == ["t500"]
    assert isinstance(outcomes[500], LostLease)
    assert store.commits - before <= 3
    assert {(await store.task(name)).seq for name in names if name != "t500"} == {2}  # type: ignore[union-attr]


async def test_steps_of_one_task_that_are_asked_for_at_once_are_done_in_order(store: SQLiteStore) -> None:
    await owned(store, "t1")
    scopes = (Scope("t1", Limits(turns=2)),)
    before = store.commits
    outcomes = await asyncio.gather(
        store.append(step("t1", 2, reserve=(entry("t1", "a", scopes=scopes),))),
        store.append(step("t1", 3, settle=(Settlement("a", 1, Spend(1, 5, 0.0), "m"),))),
        store.append(step("t1", 4, reserve=(entry("t1", "b", scopes=scopes),))),
        store.append(step("t1", 5, reserve=(entry("t1", "c", scopes=scopes),))),
        store.append(step("t1", 5, state="completed")),
        store.append(step("t1", 6)),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [*[type(None)] * 3, BudgetRefused, type(None), LostLease]
    assert store.commits == before + 1
    assert await store.spent("t1") == Spend(2, 105, 0.25)


async def test_the_loop_is_never_blocked(tmp_path: Path) -> None:
    with blockbuster_ctx():
        store = SQLiteStore(tmp_path / "a.db")
        await store.open()
        await owned(store, "t1")
        await asyncio.gather(store.append(step("t1", 2)), store.events("t1"), store.tasks(Filter()))
        await store.close()


async def test_what_sqlite_refuses_fails_alone(store: SQLiteStore) -> None:
    await owned(store, "t1")
    await owned(store, "t2")
    bad = StoredEvent(2, 1.0, None, 1, b"")  # type: ignore[arg-type]
    losing = step("t1", 2)
    outcomes = await asyncio.gather(
        store.append(Append("t1", 1, (bad,), "working", 1.0)),
        store.append(step("t2", 2)),
        store.put(item("t1", "i1")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], sqlite3.IntegrityError)
    assert outcomes[1:] == [None, True]
    assert await store.events("t1") == [event(1, "created")]
    await store.append(losing)


async def test_what_can_not_be_stored_at_all_fails_alone(store: SQLiteStore) -> None:
    for task in ("t1", "t2", "t3"):
        await owned(store, task)
    no_text = step("t1", 2, workspace="w", files={"\udcff": "d"})
    too_big = Append("t2", 1, (StoredEvent(2, 1.0, "noted", 2**70, b""),), "working", 1.0)
    outcomes = await asyncio.gather(
        *(store.append(one) for one in (no_text, too_big, step("t3", 2))), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [UnicodeEncodeError, OverflowError, type(None)]
    assert [len(await store.events(task)) for task in ("t1", "t2", "t3")] == [1, 1, 2]


async def test_two_stores_on_one_file_keep_the_rules_between_them(store: SQLiteStore) -> None:
    other = SQLiteStore(store.file)
    await other.open()
    await store.heartbeat("a", until=50.0)
    await owned(store, "t1", "a")
    with pytest.raises(LostLease):
        await other.claim("t1", "b", now=49.0)
    assert (await other.claim("t1", "b", now=51.0)).epoch == 2
    with pytest.raises(LostLease):
        await store.append(step("t1", 2, epoch=1))
    await other.append(step("t1", 2, epoch=2))
    assert await store.put(item("t1", "i1"))
    assert not await other.put(item("t1", "i1"))
    assert len(await store.events("t1")) == 2
    await other.close()


async def test_the_database_is_for_its_owner_only(store: SQLiteStore) -> None:
    await owned(store, "t1")
    assert {file.stat().st_mode & 0o777 for file in store.file.parent.iterdir()} == {0o600}


async def test_a_caller_that_is_cancelled_hurts_nobody(store: SQLiteStore) -> None:
    await owned(store, "t1")
    await owned(store, "t2")
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(store.append(step("t1", 2)))
        group.create_task(store.append(step("t2", 2)))
        await asyncio.sleep(0)
        gone.cancel()
    row = await store.task("t2")
    assert row and row.seq == 2


async def test_close_commits_what_was_asked_for(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "a.db")
    await store.open()
    await store.open()
    await owned(store, "t1")
    async with asyncio.TaskGroup() as group:
        group.create_task(store.append(step("t1", 2)))
        await asyncio.sleep(0)
        await store.close()
    await store.close()
    with pytest.raises(Unavailable, match="open it"):
        await store.task("t1")
    await store.open()
    assert len(await store.events("t1")) == 2
    await store.close()


# --- nothing acknowledged is lost

WRITER = """
import asyncio, os, sys
from pathlib import Path
from agenthost.core.budgets import Limits, Spend
from agenthost.core.tasks import Scope
from agenthost.stores.sqlite import SQLiteStore
from agenthost.testing.stores import entry, owned, step

async def work(store, task):
    await owned(store, task)
    for seq in range(2, 100_000):
        reserve = (entry(task, f"m{seq}", scopes=(Scope("all", Limits()),)),)
        await store.append(step(task, seq, reserve=reserve, workspace=task, files={str(seq): "d"}))
        os.write(1, f"{task} {seq}\\n".encode())

async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    await store.open()
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(work(store, f"t{number}"))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 40, 333, 1000])
async def test_what_was_acknowledged_is_there_after_kill_9(tmp_path: Path, lines: int) -> None:
    file = tmp_path / "agenthost.db"
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(file), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout
    for _ in range(lines):
        assert await writer.stdout.readline()
    writer.kill()
    # The lines that were said meanwhile count too.
    said = {f"t{number}": 1 for number in range(8)}
    for line in (await writer.stdout.read()).decode().splitlines():
        task, seq = line.split()
        said[task] = int(seq)
    await writer.wait()

    store = SQLiteStore(file)
    await store.open()
    attempts = 0
    for task, seq in said.items():
        events = await store.events(task, limit=100_000)
        row = await store.task(task)
        assert [one.seq for one in events] == list(range(1, len(events) + 1))
        assert len(events) >= seq
        if row is None:
            assert seq == 1
            continue
        assert row.seq == len(events)
        assert len(await store.ledger(task)) == len(await store.files(task)) == row.seq - 1
        attempts += row.seq - 1
    assert (await store.spent("all")).turns == attempts
    await store.close()


# --- versions, damage, full and read-only disks


async def made(file: Path) -> None:
    store = SQLiteStore(file)
    await store.open()
    await owned(store, "t1")
    for seq in range(2, 60):
        await store.append(step("t1", seq, reserve=(entry("t1", f"m{seq}"),)))
    await store.close()


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "agenthost.db"
    await made(file)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = file.read_bytes()
    with pytest.raises(NewerVersion, match=r"agenthost\.db was written by a newer AgentHost.*upgrade"):
        await SQLiteStore(file).open()
    assert file.read_bytes() == before


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "agenthost.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE tasks (mine)")
    database.close()
    with pytest.raises(BadInput, match="another program.*AGENTHOST_HOME"):
        await SQLiteStore(file).open()


def no_database(file: Path) -> None:
    file.write_bytes(b"Dear diary, " * 1000)


def bad_header(file: Path) -> None:
    file.write_bytes(b"\xff" * 100 + file.read_bytes()[100:])


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def malformed_page(file: Path) -> None:
    with sqlite3.connect(file) as database:
        roots = [page for (page,) in database.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0")]
    database.close()
    content = bytearray(file.read_bytes())
    for page in roots:
        content[(page - 1) * 4096 : (page - 1) * 4096 + 200] = b"\x77" * 200
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [no_database, bad_header, truncated, malformed_page])
@pytest.mark.parametrize("whole_check", [True, False])
async def test_a_damaged_database_is_named_with_the_way_on(
    tmp_path: Path, damage: Callable[[Path], None], whole_check: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not whole_check:
        monkeypatch.setattr(connection, "_WHOLE_CHECK", 0)
    file = tmp_path / "agenthost.db"
    await made(file)
    damage(file)
    with pytest.raises(
        StoreDamaged, match=r"agenthost\.db is damaged.*restore it from a backup, or move it away"
    ) as told:
        await SQLiteStore(file).open()
    assert told.value.details["file"] == str(file)
    assert told.value.exit_code == 2


async def test_damage_that_shows_later_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_check", lambda *_: None)
    file = tmp_path / "agenthost.db"
    await made(file)
    malformed_page(file)
    store = SQLiteStore(file)
    await store.open()
    with pytest.raises(StoreDamaged, match="restore it from a backup"):
        await store.events("t1")
    with pytest.raises(StoreDamaged, match="restore it from a backup"):
        await store.append(step("t1", 60))
    await store.close()


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    file = tmp_path / "agenthost.db"
    file.touch()
    await made(file)


async def test_a_full_database_loses_nothing_and_goes_on_when_there_is_room(store: SQLiteStore) -> None:
    await owned(store, "t1")
    await owned(store, "t2")

    async def pages(most: int) -> None:
        assert store._writing and store._writer  # pyright: ignore[reportPrivateUsage]
        database = store._writer  # pyright: ignore[reportPrivateUsage]
        await store._writing.call(  # pyright: ignore[reportPrivateUsage]
            lambda: database.execute(f"PRAGMA max_page_count = {most}").close()
        )

    await pages(1)
    big = StoredEvent(2, 1.0, "noted", 1, b"x" * 200_000)
    full = Append("t1", 1, (big,), "working", 1.0, workspace="w", files={"a": "d"})
    outcomes = await asyncio.gather(store.append(full), store.append(step("t2", 2)), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, Temporary)
        assert outcome.code == "disk-full"
        assert "is full" in outcome.message and "Make room" in outcome.message
    assert len(await store.events("t1")) == len(await store.events("t2")) == 1
    assert await store.files("w") == {}
    await pages(1_000_000)
    await store.append(full)
    await store.append(step("t2", 2))
    assert len(await store.events("t1")) == 2


FULL = """
import asyncio, sys
from pathlib import Path
from agenthost.core.errors import Temporary
from agenthost.core.ports import Append, StoredEvent
from agenthost.stores.sqlite import SQLiteStore
from agenthost.testing.stores import owned

async def main():
    folder = Path(sys.argv[1])
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    store = SQLiteStore(folder / "agenthost.db")
    await store.open()
    row = await owned(store, "t1")
    seq = 1
    def big():
        return Append("t1", 1, (StoredEvent(seq + 1, 1.0, "noted", 1, b"x" * 15_000),), "working", 1.0)
    try:
        while True:
            await store.append(big())
            seq += 1
    except Temporary as error:
        assert error.code == "disk-full", error
    assert len(await store.events("t1", limit=9999)) == seq
    ballast.unlink()
    for _ in range(10):
        await store.append(big())
        seq += 1
    await store.close()
    await store.open()
    assert len(await store.events("t1", limit=9999)) == seq > 20
    await store.close()
    print("went on")

asyncio.run(main())
"""


async def test_a_disk_that_is_really_full_loses_nothing(tmp_path: Path) -> None:
    """In a mount namespace of its own, so that nothing is left mounted."""
    line = 'mount -t tmpfs -o size=4m none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    try:
        process = await asyncio.create_subprocess_exec(
            *(
                "unshare",
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                line,
                "sh",
                tmp_path,
                sys.executable,
                FULL,
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    output, errors = await process.communicate()
    if process.returncode == 77 or b"unshare failed" in errors:
        pytest.skip(f"this machine lets nobody mount: {errors.decode()}")
    assert (output, process.returncode) == (b"went on\n", 0), errors.decode()


async def test_a_folder_that_can_not_be_written_is_named(shared_folder: Path) -> None:
    home = shared_folder / "home"
    home.mkdir()
    await made(home / "old.db")
    for file in home.iterdir():
        file.chmod(0o444)
    home.chmod(0o555)
    with ordinary_user():
        for name in ("new.db", "old.db"):
            with pytest.raises(BadInput, match=rf"{home}/{name} can't be written.*make {home} .*writable"):
                await SQLiteStore(home / name).open()


async def test_a_folder_in_place_of_the_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be written"):
        await SQLiteStore(tmp_path).open()


async def test_a_database_that_another_process_holds_is_temporary(store: SQLiteStore, monkeypatch: Any) -> None:
    await owned(store, "t1")
    assert store._writing and store._writer  # pyright: ignore[reportPrivateUsage]
    database = store._writer  # pyright: ignore[reportPrivateUsage]
    await store._writing.call(  # pyright: ignore[reportPrivateUsage]
        lambda: database.execute("PRAGMA busy_timeout = 1").close()
    )
    other = sqlite3.connect(store.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Temporary) as held:
        await store.append(step("t1", 2))
    assert held.value.code == "store-busy"
    other.execute("ROLLBACK")
    other.close()
    await store.append(step("t1", 2))


# --- the cost stays flat


async def test_no_hot_query_scans(store: SQLiteStore) -> None:
    await owned(store, "t1")
    statements = Statements()
    database = sqlite3.connect(store.file)
    plans: dict[str, list[str]] = {}
    for name in statements.names():
        for rows in (1, 64):
            sql = statements.long(name, rows)
            parameters = sql.count("?") if "?1" not in sql else 6
            values: Any = {"task": "", "owner": "", "now": 0} if ":task" in sql else [""] * parameters
            if "?1" in sql:
                values = values[: max(int(sql[at + 1]) for at in range(len(sql) - 1) if sql[at] == "?")]
            plans[f"{name} {rows}"] = [row[3] for row in database.execute("EXPLAIN QUERY PLAN " + sql, values)]
    for wanted in (
        Filter(),
        Filter(before="t1", roots_only=True),
        Filter(root="t1"),
        Filter(root="t1", before="t1.x"),
        Filter(states=("working",), name="x"),
        Filter(states=("working",), name="x", roots_only=True, order="updated", before="t1"),
    ):
        sql, values = listing(wanted)
        plans[f"listing {wanted}"] = [row[3] for row in database.execute("EXPLAIN QUERY PLAN " + sql, values)]
    database.close()
    # The lists of values that come with a statement are gone through; `owners` holds a row a host, `people` is listed for
    # administration, `gone` holds a key and those that it made, `webhook_marks` holds the tasks that ended a moment ago or wait for an answer, `erasing` those that go, and
    # `lines_open` what people said that isn't filed, and questions.
    lists = ("SCAN CONSTANT ROW", "SCAN moved", "SCAN done", "SCAN wanted", "SCAN gone", "SCAN json_each", "ROWS")
    few = (
        "SCAN owners",
        "SCAN people",
        "SCAN changed_settings",
        "SCAN pushes USING INDEX",
        "SCAN webhook_marks",
        "SCAN erasing",
        "SCAN lines USING INDEX lines_open",
        "SCAN line_marks USING INDEX line_marks_new",
    )
    harmless = (*lists, *few, "USING COVERING INDEX tasks_held")
    cold = ("open_tasks ", "unfinished ", "held ", "quiet ", "last_event ", "expiring ")  # asked by `doctor`
    cold += ("reckon_day ",)  # once where budgets of a day begin to count
    for name, plan in plans.items():
        if name.startswith(cold):
            continue
        if "root='t1'" in name:
            assert any("USING PRIMARY KEY (id>? AND id<?)" in line for line in plan), (name, plan)
        scans = [line for line in plan if "SCAN" in line and not any(word in line for word in harmless)]
        assert not scans, (name, plan)
        sorts = [line for line in plan if "TEMP B-TREE" in line]
        # What belongs to one tree of tasks is found by its key and then put in order.
        assert not sorts or name.startswith("ledger") or "root='t1'" in name, (name, plan)


async def test_work_per_append_is_the_same_for_the_5000th_event_and_beside_many_tasks(store: SQLiteStore) -> None:
    """Counted in SQLite's own steps, so that no clock has a say."""
    assert store._writing and store._writer  # pyright: ignore[reportPrivateUsage]
    database = store._writer  # pyright: ignore[reportPrivateUsage]

    def scopes(task: str) -> tuple[Scope, ...]:
        return (Scope(task, Limits(turns=10**9)),)

    async def steps_of(awaited: Any) -> int:
        count = 0

        def one() -> None:
            nonlocal count
            count += 1

        database.set_progress_handler(one, 1)
        await awaited
        database.set_progress_handler(None, 1)
        return count

    async def one_step(task: str, seq: int) -> int:
        return await steps_of(store.append(step(task, seq, reserve=(entry(task, f"m{seq}", scopes=scopes(task)),))))

    await owned(store, "t1")
    early = await one_step("t1", 2)
    for seq in range(3, 5003, 100):
        await store.append(step("t1", seq, events=100))
    await asyncio.gather(*(store.create(new_task(f"x{number}")) for number in range(10_000)))
    late = await one_step("t1", 5003)
    assert late <= early * 1.1
    assert len(await store.events("t1", after=5000)) == 3
    gc.collect()


# --- statements


@pytest.mark.parametrize("count", [0, 1, 3, 4, 63, 64, 65, 200])
def test_rows_are_cut_into_pieces_that_are_kept_prepared(count: int) -> None:
    rows = [(number,) for number in range(count)]
    cut = list(pieces(rows))
    assert [row for piece in cut for row in piece] == rows
    assert {len(piece) for piece in cut} <= {1, 2, 4, 8, 16, 32, 64}


async def test_a_read_that_makes_no_sense_fails_alone(tmp_path: Path) -> None:
    """All that is asked for at one moment is read together."""
    store = SQLiteStore(tmp_path / "agenthost.db")
    await store.open()
    try:
        found = await asyncio.gather(
            store.task("t1"),
            store.tasks(Filter(text="\ud800")),
            store.events("t1", 2**70),
            store.inbox("t1"),
            return_exceptions=True,
        )
    finally:
        await store.close()
    assert (found[0], found[3]) == (None, [])
    assert isinstance(found[1], UnicodeEncodeError)
    assert isinstance(found[2], OverflowError)


async def test_a_write_that_makes_no_sense_fails_alone(store: SQLiteStore) -> None:
    await owned(store, "t1")

    def fails(*_: Any) -> None:
        raise LookupError("a row that nobody can read")

    found = await asyncio.gather(
        store.write(fails), store.append(step("t1", 2)), store.put(item("t1", "i1")), return_exceptions=True
    )
    assert isinstance(found[0], LookupError)
    assert found[1:] == [None, True]
