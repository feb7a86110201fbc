"""The SQLite store: one file, one thread that writes in groups, one that reads."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agenthost.core.budgets import Spend
from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.ports import Append, Filter, InboxItem, LedgerEntry, NewTask, Settlement, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.stores.rules import booking
from agenthost.stores.sqlite import reads, writes
from agenthost.stores.sqlite.appends import append_all, book
from agenthost.stores.sqlite.connection import open_migrated
from agenthost.stores.sqlite.lane import Lane
from agenthost.stores.sqlite.link import connect, meaning, of_the_disk
from agenthost.stores.sqlite.migrating import Migrated
from agenthost.stores.sqlite.statements import Statements
from agenthost.stores.sqlite.writes import Creation, create_all

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of `writes` or `reads`, and its arguments after connection and statements."""

Job = Append | Creation | Call

_OF_ONE = (sqlite3.Error, AgentHostError, ArithmeticError, LookupError, TypeError, ValueError)
"""What one of those that are done together fails with: values that SQLite has no place for, such as text that is none, and
rows that can't be read."""


class SQLiteStore:
    """The port `core.ports.Store` on one SQLite file.

    What is written is on disk (WAL, `synchronous=FULL`) before a method returns. Writes that are
    asked for together are committed together. Damage, a full disk or a lost right to write come
    as StoreDamaged, Temporary (`disk-full`) and BadInput; the store goes on when the cause is gone.
    `committed` is told, in the writer's thread, of how many writes a transaction was, and its seconds.
    """

    def __init__(self, file: Path, committed: Callable[[int, float], None] | None = None) -> None:
        self.file = file
        self._committed = committed
        self.commits = 0
        """Transactions committed since it was opened."""
        self.migrated: Migrated | None = None
        """What was done to bring the database to this version's format, where it was of an older one."""
        self._statements: Statements | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._writing: Lane[Job] | None = None
        self._reading: Lane[Call] | None = None

    async def open(self) -> None:
        """Open the file, making or migrating it. Raises BadInput, StoreDamaged or NewerVersion."""
        if self._writing:
            return
        writing: Lane[Job] = Lane("agenthost-store-writer", self._write_group)
        reading: Lane[Call] = Lane("agenthost-store-reader", self._read_group)
        try:
            await writing.call(self._open_writer)
            await reading.call(self._open_reader)
        except BaseException:
            await reading.close(self._close_reader)
            await writing.close(self._close_writer)
            raise
        self._writing, self._reading = writing, reading

    async def close(self) -> None:
        """Commit what was asked for, and close the file."""
        writing, reading = self._writing, self._reading
        if writing and reading:
            await reading.close(self._close_reader)
            await writing.close(self._close_writer)
        self._writing = self._reading = None

    # --- writes

    async def create(
        self,
        new: NewTask,
        copies: Sequence[tuple[str, str]] = (),
        files: Mapping[str, str] | None = None,
        first: Append | None = None,
    ) -> bool:
        return await self._lane(self._writing).ask(Creation(new, copies, files or {}, first))

    async def claim(self, task: str, owner: str, now: float) -> TaskRow:
        return await self.write(writes.claim, task, owner, now)

    async def heartbeat(self, owner: str, until: float) -> None:
        await self.write(writes.heartbeat, owner, until)

    async def retire(self, owner: str, now: float) -> None:
        await self.write(writes.retire, owner)

    async def append(self, batch: Append) -> None:
        await self._lane(self._writing).ask(batch)

    async def book(self, reserve: Sequence[LedgerEntry] = (), settle: Sequence[Settlement] = ()) -> None:
        await self.write(book, booking(reserve, settle))

    async def put(self, item: InboxItem) -> bool:
        return await self.write(writes.put, item)

    async def hold(self, task: str, hold: str, reason: str) -> None:
        await self.write(writes.hold, task, hold, reason)

    async def put_definition(self, digest: str, body: bytes) -> None:
        await self.write(writes.put_definition, digest, body)

    async def put_manifests(self, manifests: Sequence[tuple[str, str, str, bytes]], now: float) -> None:
        await self.write(writes.put_manifests, manifests, now)

    async def delete_manifest(self, kind: str, name: str, namespace: str) -> bool:
        return await self.write(writes.delete_manifest, kind, name, namespace)

    # --- reads

    async def claimable(self, owner: str, now: float, limit: int) -> list[TaskRow]:
        return await self.read(reads.claimable, owner, now, limit)

    async def inbox(self, task: str) -> list[InboxItem]:
        return await self.read(reads.inbox, task)

    async def task(self, task: str) -> TaskRow | None:
        return await self.read(reads.task, task)

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        return await self.read(reads.tasks, wanted)

    async def count_tasks(self, wanted: Filter) -> int:
        return await self.read(reads.count_tasks, wanted)

    async def find(self, prefix: str) -> list[str]:
        return await self.read(reads.find, prefix)

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[StoredEvent]:
        return await self.read(reads.events, task, after, limit)

    async def ledger(self, root: str) -> list[LedgerEntry]:
        return await self.read(reads.ledger, root)

    async def spent(self, task: str) -> Spend:
        return await self.read(reads.spent, task)

    async def accounts(self, prefix: str) -> dict[str, Spend]:
        return await self.read(reads.accounts, prefix)

    async def reckon(self, day: str, since: float) -> None:
        await self.write(writes.reckon, day, since)

    async def files(self, workspace: str) -> dict[str, str]:
        return await self.read(reads.files, workspace)

    async def definition(self, digest: str) -> bytes | None:
        return await self.read(reads.definition, digest)

    async def manifests(self, kind: str, namespace: str) -> dict[str, bytes]:
        return await self.read(reads.manifests, kind, namespace)

    # --- the two lanes

    def write(self, function: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
        """Have a function of the writer's connection and the statements committed with what is asked for meanwhile. It
        raises an AgentHostError before it writes anything, or not at all."""
        return self._lane(self._writing).ask((function, arguments))

    async def alone(self, function: Callable[[sqlite3.Connection], None]) -> None:
        """Have a function of the writer's connection run outside of any transaction, between two groups."""

        def run() -> None:
            assert self._writer
            try:
                function(self._writer)
            except sqlite3.Error as error:
                raise meaning(error, self.file) from error

        await self._lane(self._writing).call(run)

    def read(self, function: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
        """What a function of the reader's connection and the statements finds."""
        return self._lane(self._reading).ask((function, arguments))

    @staticmethod
    def _lane(lane: Lane[Any] | None) -> Lane[Any]:
        if lane is None:
            raise Unavailable("the store is not open; open it before it is used")
        return lane

    def _open_writer(self) -> None:
        self._statements = self._statements or Statements()
        self._writer, self.migrated = open_migrated(self.file)

    def _open_reader(self) -> None:
        try:
            self._reader = connect(self.file, reader=True)
        except sqlite3.Error as error:
            raise meaning(error, self.file) from error

    def _close_writer(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None

    def _close_reader(self) -> None:
        if self._reader:
            self._reader.close()
            self._reader = None

    def _write_group(self, jobs: list[Job]) -> list[Any]:
        """Commit a group of jobs. Where the group fails for one of them, each gets a transaction of its own."""
        connection, statements = self._writer, self._statements
        assert connection and statements
        try:
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            outcomes = _together(connection, statements, jobs)
            connection.execute("COMMIT")
            self.commits += 1
            if self._committed is not None:
                self._committed(len(jobs), time.perf_counter() - began)
            return outcomes
        except _FirstRefused as refused:
            _roll_back(connection)
            if len(jobs) == 1:
                return [refused.error]
        except _OF_ONE as error:
            _roll_back(connection)
            if len(jobs) == 1 or of_the_disk(error):
                return [meaning(error, self.file) for _ in jobs]
        except BaseException:
            _roll_back(connection)
            raise
        return [outcome for job in jobs for outcome in self._write_group([job])]

    def _read_group(self, jobs: list[Call]) -> list[Any]:
        connection, statements = self._reader, self._statements
        assert connection and statements
        outcomes: list[Any] = []
        for function, arguments in jobs:
            try:
                outcomes.append(function(connection, statements, *arguments))
            except _OF_ONE as error:
                # Who asked at the same moment has no part in it.
                outcomes.append(meaning(error, self.file))
        return outcomes


def _together(connection: sqlite3.Connection, statements: Statements, jobs: list[Job]) -> list[Any]:
    """Do jobs within the open transaction. They were asked for at the same time, so that their order is free:
    new tasks come first and steps last, all together."""
    outcomes: list[Any] = [None] * len(jobs)
    creations = {place: job for place, job in enumerate(jobs) if isinstance(job, Creation)}
    if creations:
        outcomes = _placed(outcomes, creations, create_all(connection, statements, [*creations.values()]))
    for place, job in enumerate(jobs):
        if isinstance(job, tuple):
            function, arguments = job
            try:
                outcomes[place] = function(connection, statements, *arguments)
            except AgentHostError as error:
                # Raised before anything of the job was written.
                outcomes[place] = error
    steps = {place: job for place, job in enumerate(jobs) if isinstance(job, Append)}
    firsts = [job.first for place, job in creations.items() if job.first is not None and outcomes[place]]
    if steps or firsts:
        done = append_all(connection, statements, [*firsts, *steps.values()])
        for error in done[: len(firsts)]:
            if error is not None:
                # What was made for it must go with it.
                raise _FirstRefused(error)
        outcomes = _placed(outcomes, steps, done[len(firsts) :])
    return outcomes


class _FirstRefused(Exception):
    """The first step of a task that is being made can't be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _placed(outcomes: list[Any], places: Iterable[int], found: Sequence[Any]) -> list[Any]:
    for place, outcome in zip(places, found, strict=True):
        outcomes[place] = outcome
    return outcomes


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has ended the transaction itself by now; the next BEGIN shows what is left to say.
            pass
