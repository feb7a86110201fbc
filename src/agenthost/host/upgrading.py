"""An upgrade tried on a copy of the data, done, and taken back."""

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import cast

from msgspec import Struct

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.events import Recorded
from agenthost.core.ports import Models, Tools
from agenthost.core.tasks import TaskRow
from agenthost.engine.codec import Codec
from agenthost.host import records
from agenthost.host.library import Library
from agenthost.host.replaying.comparing import gap
from agenthost.stores.blobs import FileBlobs
from agenthost.stores.durable import fsync_folder
from agenthost.stores.home import HomeLock
from agenthost.stores.sqlite import SQLiteStore, migrating, snapshot
from agenthost.stores.sqlite.link import connect, meaning
from agenthost.stores.sqlite.migrating import Copy, Migrated
from agenthost.stores.sqlite.reads import every_task

DATABASE = "agenthost.db"
_PAGE = 1000
_TRIAL = ".upgrade-"
_STALE = 24 * 3600.0

Say = Callable[[str, int, int], None]


class Unread(Struct, frozen=True):
    """A task whose journal this version can't go on from, and why."""

    task: str
    reason: str


class Trial(Struct, frozen=True):
    """What an upgrade does, found by doing it to a copy. Sizes in bytes, times in seconds.

    `changes` are tables, columns and indexes that come or go; `lost` are tables that have other rows than before.
    `copying` is what copying the database takes, `migrating` the change with the copy that is kept before it.
    """

    file: str
    before: int
    after: int
    scripts: tuple[str, ...]
    changes: tuple[str, ...]
    lost: tuple[str, ...]
    tasks: int
    unfinished: int
    events: int
    unread: tuple[Unread, ...]
    size: int
    free: int
    copying: float
    migrating: float
    reading: float

    @property
    def fits(self) -> bool:
        """Whether the disk has room for the copy that is kept, and as much again for the change."""
        return self.free > 2 * self.size

    @property
    def good(self) -> bool:
        """Whether everything is there afterwards, and can be read."""
        return self.fits and not self.lost and not self.unread


async def try_out(home: Path, say: Say) -> Trial:
    """Upgrade a copy of a home's database and read every journal in it; the home itself, which a host may hold, stays
    as it is. Raises BadInput, StoreDamaged, NewerVersion, Temporary (`disk-full`)."""
    folder = await asyncio.to_thread(_room, home)
    try:
        return await _try_out(home, folder, say)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


def _room(home: Path) -> Path:
    """A folder for the copy. Raises BadInput where the disk, which a host may need, would be full of it."""
    for left in home.glob(f"{_TRIAL}*"):
        # Of a trial that was killed.
        if left.stat().st_mtime < time.time() - _STALE:
            shutil.rmtree(left, ignore_errors=True)
    database = home / DATABASE
    size = database.stat().st_size if database.is_file() else 0
    if (free := shutil.disk_usage(home).free) < 3 * size:
        raise BadInput(
            f"trying it out takes {3 * size / 1e6:.1f} MB of the disk of {home} for a while, and so does the upgrade itself; "
            f"{free / 1e6:.1f} MB are free: make room"
        )
    return Path(mkdtemp(prefix=_TRIAL, dir=home))


async def _try_out(home: Path, folder: Path, say: Say) -> Trial:
    copied = folder / DATABASE
    began = time.monotonic()
    await asyncio.to_thread(snapshot.copy, home / DATABASE, copied, lambda done, total: say("copying", done, total))
    copying = time.monotonic() - began
    before, shape = await asyncio.to_thread(lambda: (snapshot.facts(copied), _shape(copied)))
    store, blobs = SQLiteStore(copied), FileBlobs(home / "blobs")
    try:
        await store.open()
        await asyncio.to_thread(snapshot.check, copied)
        after, now = await asyncio.to_thread(lambda: (snapshot.facts(copied), _shape(copied)))
        began = time.monotonic()
        unread = await _read_all(store, blobs, after.tasks, say)
        reading = time.monotonic() - began
    finally:
        await store.close()
        await blobs.close()
    size, free, scripts = await asyncio.to_thread(
        lambda: (copied.stat().st_size, shutil.disk_usage(home).free, migrating.names())
    )
    return Trial(
        file=str(home / DATABASE),
        before=before.format,
        after=after.format,
        scripts=tuple(scripts[before.format :]),
        changes=_changes(shape, now),
        lost=tuple(_lost(before, after)),
        tasks=after.tasks,
        unfinished=after.unfinished,
        events=after.counts.get("events", 0),
        unread=tuple(unread),
        size=size,
        free=free,
        copying=round(copying, 3),
        migrating=round(store.migrated.seconds, 3) if store.migrated else 0.0,
        reading=round(reading, 3),
    )


def _changes(before: set[str], after: set[str]) -> tuple[str, ...]:
    """What comes and what goes; of a table that comes its columns aren't told."""

    def told(those: set[str], others: set[str]) -> list[str]:
        tables = {each.removeprefix("table ") for each in those - others if each.startswith("table ")}
        return [each for each in sorted(those - others) if each.removeprefix("column ").partition(".")[0] not in tables]

    return (*(f"+ {each}" for each in told(after, before)), *(f"- {each}" for each in told(before, after)))


def _lost(before: snapshot.Facts, after: snapshot.Facts) -> list[str]:
    return [
        f"{table}: {count} rows before, {after.counts.get(table, 0)} after"
        for table, count in before.counts.items()
        if count > after.counts.get(table, 0)
    ]


def _shape(file: Path) -> set[str]:
    """Tables with their columns, and indexes, as words."""
    with closing(connect(file, reader=True)) as connection:
        found: set[str] = set()
        for kind, name in connection.execute(
            "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'index', 'trigger') AND name NOT LIKE 'sqlite%'"
        ).fetchall():
            columns = [column for _, column, *_ in connection.execute(f'PRAGMA table_info("{name}")')]
            found |= {f"{kind} {name}"} | {f"column {name}.{column}" for column in columns if kind == "table"}
        return found


async def _read_all(store: SQLiteStore, blobs: FileBlobs, total: int, say: Say) -> list[Unread]:
    """Read every journal as an owner does that goes on with it; those that can't be."""
    codec = Codec(blobs, lambda body: body)
    # Programs need definitions, which the store has, and neither models nor tools.
    library = Library(store, cast(Models, None), cast(Tools, None))
    unread: list[Unread] = []
    before = ""
    done = 0
    while rows := await store.read(every_task, before, 200):
        for row in rows:
            if why := await _why_unread(store, codec, library, row):
                unread.append(Unread(row.id, why))
            done += 1
            say("reading journals", done, total)
        before = rows[-1].id
    return unread


async def _why_unread(store: SQLiteStore, codec: Codec, library: Library, row: TaskRow) -> str:
    events: list[Recorded] = []
    try:
        while page := await store.events(row.id, events[-1].seq if events else 0, _PAGE):
            events += [await codec.decode(row.id, stored) for stored in page]
        if wrong := gap(row, events):
            return wrong.difference
        spec = records.spec_of(events)
        program = await library.program(spec)
        state = program.initial(spec)
        for recorded in events:
            state = program.apply(state, recorded)
    except AgentHostError as error:
        return error.message
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        return f"its program fails: {type(error).__name__}: {error}"
    return ""


async def upgrade(home: Path) -> Migrated | None:
    """Bring a home's database to this version's format now; None where it is. Raises HomeBusy, and as `try_out`."""
    if not await asyncio.to_thread((home / DATABASE).is_file):
        raise BadInput(f"there is no database in {home}; name another home with --home")
    store = SQLiteStore(home / DATABASE)
    with HomeLock(home):
        await store.open()
        await store.close()
    return store.migrated


class Back(Struct, frozen=True):
    """A copy was put back: which, and where what it took the place of is now."""

    copy: Copy
    kept: str
    events: int


def go_back(home: Path, force: bool) -> Back:
    """Put the newest copy that an upgrade kept in the place of the database, for the version before. With `force` also
    where something was written since, which is not in the copy. Raises HomeBusy and BadInput."""
    file = home / DATABASE
    with HomeLock(home):
        kept = migrating.copies(file)
        if not kept or not file.is_file():
            raise BadInput(
                f"there is no copy from before an upgrade in {home}; a back-up may help: agenthost backup list"
            )
        chosen = kept[0]
        copy = Path(chosen.file)
        snapshot.check(copy)
        _settle(file)
        now, since = snapshot.facts(file), _since(file, copy)
        if since and not force:
            raise BadInput(
                f"{since} events were written since the upgrade, and the copy doesn't have them; --force puts it back all "
                "the same"
            )
        aside = file.with_name(f"{DATABASE}.after-{now.format}")
        aside.unlink(missing_ok=True)
        # There is a whole database under the name at every moment.
        os.link(file, aside)
        os.replace(copy, file)
        fsync_folder(home)
    return Back(chosen, str(aside), since)


def _since(file: Path, copy: Path) -> int:
    """Events that were written after the copy was made, whatever was deleted since."""
    with closing(connect(copy, reader=True)) as then, closing(connect(file, reader=True)) as now:
        last = then.execute("SELECT coalesce(max(rowid), 0) FROM events").fetchone()[0]
        return now.execute("SELECT count(*) FROM events WHERE rowid > ? AND task <> ''", (last,)).fetchone()[0]


def _settle(file: Path) -> None:
    """Have everything in the one file, so that another can take its place."""
    try:
        with closing(connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise meaning(error, file) from error
    wal = file.with_name(f"{file.name}-wal")
    if wal.exists() and wal.stat().st_size:
        raise BadInput(f"another process reads {file} (a back-up, perhaps); wait until it has ended")
