"""What a courier must not lose, in one SQLite file: what was heard and not placed yet, what is to be shown, and how far that came."""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from agenthost.core.conversations import Line
from agenthost.core.errors import Conflict, NewerVersion
from agenthost.outposts.channel.port import Heard

T = TypeVar("T")
ShownState = Literal["due", "shown", "told", "aside"]
"""Of a host's line: to be shown; shown, and its host doesn't know the ids yet; it does; it can't be shown."""

KEPT = 30 * 86_400.0
"""Seconds for which lines are kept that are over."""
_VERSION = 2
FIRST = """
CREATE TABLE heard (number INTEGER PRIMARY KEY, arrival TEXT NOT NULL UNIQUE, conversation TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX heard_there ON heard (conversation, number);
CREATE TABLE cursor (post TEXT PRIMARY KEY, place INTEGER NOT NULL);
CREATE TABLE line (
    post TEXT NOT NULL, place INTEGER NOT NULL, conversation TEXT NOT NULL, question TEXT NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
    piece INTEGER NOT NULL DEFAULT 0, sending INTEGER NOT NULL DEFAULT 0, again INTEGER NOT NULL DEFAULT 0,
    ids BLOB NOT NULL DEFAULT '[]', reason TEXT NOT NULL DEFAULT '', at REAL NOT NULL, PRIMARY KEY (post, place)
) WITHOUT ROWID;
CREATE INDEX line_open ON line (state, conversation, place) WHERE state IN ('due', 'shown');
CREATE INDEX line_question ON line (conversation, question) WHERE question <> '';
CREATE INDEX line_there ON line (conversation, place);
CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
"""The tables of the first version; `_SECOND` is what the second adds."""
_SECOND = """
ALTER TABLE line ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE line ADD COLUMN due REAL NOT NULL DEFAULT 0;
ALTER TABLE note ADD COLUMN at REAL NOT NULL DEFAULT 0;
CREATE INDEX line_aside ON line (conversation, due) WHERE state = 'aside';
"""
_COLUMNS = "post, body, state, piece, sending, again, ids, reason, at, tries, due"
PLAIN = "plain"
"""The note of a book that was begun before conversations were named with the account that serves them."""


class Showing(Struct):
    """A line of a host and how far it was shown: `piece` of its pieces were; `sending`: one more was begun, and whether it came is not known; `again`: how
    often such a one was sent again. `reason`: why it was put aside, `tries` how often, and `due` when it is tried again (seconds since the epoch; 0: when somebody
    says so)."""

    post: str
    line: Line
    state: ShownState = "due"
    piece: int = 0
    sending: bool = False
    again: int = 0
    ids: tuple[str, ...] = ()
    reason: str = ""
    at: float = 0.0
    tries: int = 0
    due: float = 0.0


class Book:
    """One courier's. Everything that it returned for is on disk. All work is done in one thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="book")
        self._lock = -1
        self._base: sqlite3.Connection | None = None

    async def open(self) -> "Book":
        """Raises Conflict where another courier has it."""
        try:
            await self._do(self._open)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        await self._do(self._close)
        self._thread.shutdown(wait=False)  # it has nothing more to do

    async def _do(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another process carries the messages of {self._path}; end it, or use another home"
            ) from None
        self._base = base = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._path.chmod(0o600)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        version = int(base.execute("PRAGMA user_version").fetchone()[0])
        if version > _VERSION:
            raise NewerVersion(f"{self._path} was written by a newer AgentHost; upgrade this one")
        steps = {0: FIRST + _SECOND, 1: _SECOND + f"INSERT INTO note VALUES ('{PLAIN}', '1', 0);"}
        if version in steps:
            base.executescript(f"BEGIN; {steps[version]} PRAGMA user_version={_VERSION}; COMMIT;")
        over = time.time() - KEPT
        base.execute("DELETE FROM line WHERE state='told' AND at < ?", (over,))
        base.execute("DELETE FROM note WHERE at > 0 AND at < ?", (over,))

    def _close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _run(self, *statements: tuple[str, Sequence[object]]) -> int:
        """Statements in one transaction; how many rows the last one changed."""

        def job() -> int:
            base = self._opened()
            base.execute("BEGIN IMMEDIATE")
            try:
                changed = 0
                for text, values in statements:
                    changed = base.execute(text, values).rowcount
                base.execute("COMMIT")
            except BaseException:
                base.execute("ROLLBACK")
                raise
            return changed

        return await self._do(job)

    async def _read(self, text: str, *values: object) -> list[tuple[object, ...]]:
        return await self._do(lambda: self._opened().execute(text, values).fetchall())

    def _opened(self) -> sqlite3.Connection:
        assert self._base is not None
        return self._base

    # --- what was heard ---

    async def hear(self, came: Sequence[Heard]) -> None:
        """Keep what came, each once by its arrival."""
        insert = "INSERT OR IGNORE INTO heard (arrival, conversation, body) VALUES (?, ?, ?)"
        if came:
            await self._run(*((insert, (one.arrival, one.conversation, msgspec.json.encode(one))) for one in came))

    async def next_heard(self, conversation: str) -> list[Heard]:
        """The oldest of a conversation, with the others of its album that have come."""
        found = await self._read("SELECT body FROM heard WHERE conversation=? ORDER BY number LIMIT 20", conversation)
        every = [msgspec.json.decode(_bytes(row[0]), type=Heard) for row in found]
        return [one for one in every if one is every[0] or (one.album and one.album == every[0].album)]

    async def forget(self, came: Sequence[Heard]) -> None:
        """It is placed: it is the host's now."""
        await self._run(*(("DELETE FROM heard WHERE arrival=?", (one.arrival,)) for one in came))

    async def hearing(self) -> list[str]:
        """The conversations of which something is to be placed."""
        return [str(row[0]) for row in await self._read("SELECT DISTINCT conversation FROM heard")]

    # --- what is to be shown ---

    async def cursor(self, post: str) -> int:
        """After which place the lines of a post weren't kept yet."""
        found = await self._read("SELECT place FROM cursor WHERE post=?", post)
        return int(str(found[0][0])) if found else 0

    async def keep(self, post: str, line: Line, wanted: bool) -> None:
        """A line came; it is to be shown where it is `wanted`. Another that had its place, at a host that was put back since, keeps one that no host gives."""
        aside = (
            "UPDATE OR REPLACE line SET place=-place WHERE post=? AND place=? AND json_extract(CAST(body AS TEXT), '$.id') <> ?",
            (post, line.place, line.id),
        )
        cursor = (
            "INSERT INTO cursor VALUES (?, ?) ON CONFLICT (post) DO UPDATE SET place=excluded.place",
            (post, line.place),
        )
        values = (post, line.place, line.conversation, line.question, msgspec.json.encode(line), "due", time.time())
        insert = "INSERT OR IGNORE INTO line (post, place, conversation, question, body, state, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        await self._run(*([aside, (insert, values)] if wanted else []), cursor)

    async def rewind(self, post: str) -> None:
        """All lines of a post are to be read again: those that are known aren't shown again."""
        await self._run(("DELETE FROM cursor WHERE post=?", (post,)))

    async def next_showing(self, conversation: str) -> Showing | None:
        """The oldest line of a conversation that isn't over."""
        text = f"SELECT {_COLUMNS} FROM line WHERE state IN ('due', 'shown') AND conversation=? ORDER BY place LIMIT 1"
        found = await self._read(text, conversation)
        return _showing(found[0]) if found else None

    async def save(self, showing: Showing) -> None:
        """How far a line came."""
        values = (
            showing.state,
            showing.piece,
            showing.sending,
            showing.again,
            msgspec.json.encode(showing.ids),
            showing.reason,
            showing.tries,
            showing.due,
        )
        text = "UPDATE line SET state=?, piece=?, sending=?, again=?, ids=?, reason=?, tries=?, due=? WHERE post=? AND place=?"
        await self._run((text, (*values, showing.post, showing.line.place)))

    async def untold(self, conversation: str) -> list[Showing]:
        """Lines of a conversation that were shown, and whose host doesn't know under which ids."""
        text = f"SELECT {_COLUMNS} FROM line WHERE state='shown' AND conversation=? ORDER BY place"
        return [_showing(row) for row in await self._read(text, conversation)]

    async def showing(self) -> list[str]:
        """The conversations in which something is to be shown."""
        text = "SELECT DISTINCT conversation FROM line WHERE state IN ('due', 'shown')"
        return [str(row[0]) for row in await self._read(text)]

    async def asking(self, conversation: str, question: str) -> tuple[str, ...]:
        """The ids of the messages that show a question."""
        text = "SELECT ids FROM line WHERE conversation=? AND question=? ORDER BY place"
        found = await self._read(text, conversation, question)
        return tuple(id for row in found for id in msgspec.json.decode(_bytes(row[0]), type=tuple[str, ...]))

    async def line_of(self, conversation: str, id: str) -> Line | None:
        """The line that was shown as a message."""
        text = "SELECT body FROM line WHERE conversation=? AND CAST(ids AS TEXT) LIKE ? ORDER BY place DESC LIMIT 1"
        found = await self._read(text, conversation, f'%"{id}"%')
        return msgspec.json.decode(_bytes(found[0][0]), type=Line) if found else None

    async def aside(self, limit: int = 100) -> list[Showing]:
        """What couldn't be shown, the newest first."""
        text = f"SELECT {_COLUMNS} FROM line WHERE state='aside' ORDER BY at DESC LIMIT ?"
        return [_showing(row) for row in await self._read(text, limit)]

    async def revive(self, now: float, conversation: str = "") -> list[str]:
        """Have what was put aside be shown again, where its time has come; of a `conversation` all that isn't given up. The conversations of which something is."""
        due, value = ("conversation=?", conversation) if conversation else ("due <= ?", now)
        where = f"state='aside' AND due > 0 AND {due}"
        found = await self._read(f"SELECT DISTINCT conversation FROM line WHERE {where}", value)
        if found:
            await self._run((f"UPDATE line SET state='due', due=0 WHERE {where}", (value,)))
        return [str(row[0]) for row in found]

    async def doubts(self) -> int:
        """How many messages were sent again because it wasn't known whether they had come."""
        return int(str((await self._read("SELECT COALESCE(SUM(again), 0) FROM line"))[0][0]))

    # --- notes ---

    async def note(self, key: str) -> str:
        found = await self._read("SELECT value FROM note WHERE key=?", key)
        return str(found[0][0]) if found else ""

    async def put_note(self, key: str, value: str, passing: bool = False) -> None:
        """Note it; what is `passing` is forgotten after `KEPT`."""
        put = "INSERT INTO note VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value"
        await self._run((put, (key, value, time.time() if passing else 0.0)))


def set_aside(path: Path, limit: int = 100) -> list[Showing]:
    """What couldn't be shown, read beside the courier that has the book; empty where there is no book."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
        _current(base, path)
        text = f"SELECT {_COLUMNS} FROM line WHERE state='aside' ORDER BY at DESC LIMIT ?"
        return [_showing(row) for row in base.execute(text, (limit,)).fetchall()]


def try_again(path: Path, conversation: str = "") -> int:
    """Have what couldn't be shown be tried again by the courier that has the book, or the next that opens it: all, or that of a conversation. How many lines."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None)) as base:
        _current(base, path)
        text = "UPDATE line SET due=1, tries=0 WHERE state='aside' AND (?='' OR conversation=?)"
        return base.execute(text, (conversation, conversation)).rowcount


def _current(base: sqlite3.Connection, path: Path) -> None:
    version = int(base.execute("PRAGMA user_version").fetchone()[0])
    if version != _VERSION:
        raise Conflict(f"{path} was written by another version of AgentHost; start its channel once with this one")


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _showing(row: Sequence[object]) -> Showing:
    post, body, state, piece, sending, again, ids, reason, at, tries, due = row
    known: dict[str, object] = {"post": post, "state": state, "piece": piece, "sending": bool(sending), "again": again}
    known |= {"reason": reason, "at": at, "tries": tries, "due": due, "ids": msgspec.json.decode(_bytes(ids))}
    return msgspec.convert(
        {**known, "line": msgspec.to_builtins(msgspec.json.decode(_bytes(body), type=Line))}, Showing
    )
