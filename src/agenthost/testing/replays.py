"""Every task that a test ran, decided again: in the home of a host that is closed, and in the store of an engine.

`replay_home` needs nothing but the home's folder; a test suite of your own may end each test with it.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, cast

from agenthost.core.errors import AgentHostError
from agenthost.core.events import Recorded
from agenthost.core.ports import Blobs, Models, Programs, Store, StoredEvent, Tools
from agenthost.core.replaying import ReplayReport
from agenthost.core.tasks import TaskRow
from agenthost.engine.codec import Codec
from agenthost.host.library import Library
from agenthost.host.records import spec_of
from agenthost.host.replaying.comparing import gap, replay
from agenthost.stores.backups.home import DATABASE
from agenthost.stores.blobs import FileBlobs
from agenthost.stores.memory import Tables
from agenthost.stores.sqlite.link import connect

T = TypeVar("T")
Read = Callable[[str], Awaitable[Sequence[StoredEvent]]]

MOST_TASKS = 100_000
"""Tasks of one home or store that are decided again; of more, so many at equal distances in the order of their ids."""
MOST_EVENTS = 1_000_000
"""Events of one home or store after which no further task is begun."""


def sampled(items: Sequence[T], most: int = MOST_TASKS) -> Sequence[T]:
    """All, or `most` of them at equal distances: the same ones each time."""
    if len(items) <= most:
        return items
    return [items[at * len(items) // most] for at in range(most)]


async def replay_home(home: Path, most: int = MOST_TASKS) -> list[ReplayReport]:
    """Decide the tasks of a home again that no host holds. Nothing of it is changed."""
    file = home / DATABASE
    if not file.is_file():
        return []
    with closing(connect(file, reader=True)) as connection:
        blobs = FileBlobs(home / "blobs", threads=1)
        try:
            return await _replay_database(connection, blobs, most)
        finally:
            await blobs.close()


async def _replay_database(connection: sqlite3.Connection, blobs: Blobs, most: int) -> list[ReplayReport]:
    class Definitions:
        async def definition(self, digest: str) -> bytes | None:
            found = connection.execute("SELECT body FROM definitions WHERE digest = ?", (digest,)).fetchone()
            return found[0] if found else None

    async def read(task: str) -> list[StoredEvent]:
        query = "SELECT seq, at, kind, version, body FROM events WHERE task = ? ORDER BY seq"
        return [StoredEvent(*row) for row in connection.execute(query, (task,))]

    query = "SELECT id, kind, name, state, created, updated, seq FROM tasks ORDER BY id"
    rows = [TaskRow(*row[:6], seq=row[6]) for row in connection.execute(query)]
    library = Library(cast("Store", Definitions()), cast("Models", None), cast("Tools", None))
    return await _replay_rows(sampled(rows, most), read, library, blobs)


async def replay_tables(tables: Tables, programs: Programs, blobs: Blobs, most: int = MOST_TASKS) -> list[ReplayReport]:
    """Decide the tasks of a store in memory again (`MemoryStore.snapshot`)."""

    async def read(task: str) -> list[StoredEvent]:
        return tables.events.get(task, [])

    rows = sorted(tables.tasks.values(), key=lambda row: row.id)
    return await _replay_rows(sampled(rows, most), read, programs, blobs)


async def _replay_rows(rows: Sequence[TaskRow], read: Read, programs: Programs, blobs: Blobs) -> list[ReplayReport]:
    codec = Codec(blobs, lambda body: body)
    reports: list[ReplayReport] = []
    for row in rows:
        events: list[Recorded] = []
        try:
            events = [await codec.decode(row.id, stored) for stored in await read(row.id)]
            if (wrong := gap(row, events)) is None:
                spec = spec_of(events)
                wrong = replay(await programs.program(spec), spec, events)
        except AgentHostError as error:
            wrong = ReplayReport(row.id, len(events), 0, False, f"it can't be read: {error.message}", len(events) + 1)
        reports.append(wrong)
        if sum(report.events for report in reports) > MOST_EVENTS:
            break
    return reports


def run(doing: Coroutine[Any, Any, T]) -> T:
    """Wait for something where no loop runs, and leave the loops of others alone."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(doing)
    finally:
        loop.close()
