"""Conversations and their lines, in the SQLite store's own file."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import force_setattr, replace

from agenthost.core.conversations import (
    ConversationInfo,
    Gathered,
    Line,
    LineFilter,
    Mentioned,
    Thread,
    Wanted,
    thread_of,
)
from agenthost.core.meanings import Meant
from agenthost.stores.sqlite import meanings, reads
from agenthost.stores.sqlite.statements import Row, Statements
from agenthost.stores.sqlite.store import SQLiteStore

COMMON = 200
"""A word that so many tasks of a conversation have tells them apart no more."""

WORDS = 60
"""The most words by which one task is found."""

_line = msgspec.json.Decoder(Line)
_encode = msgspec.json.Encoder().encode


class SQLiteConversations:
    """The port `core.conversations.Conversations`, written by the store's one writer."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def add(self, lines: Sequence[Line], words: Sequence[str] = ()) -> list[Line]:
        return [line for line, _ in await self._store.write(_add, lines, words)]

    async def change(self, lines: Sequence[Line], words: Sequence[str] = (), settled: Sequence[str] = ()) -> None:
        await self._store.write(_change, lines, words, settled)

    async def line(self, place: int) -> Line | None:
        return await self._store.read(_one, "line", place)

    async def named(self, thread: Thread, id: str) -> Line | None:
        return await self._store.read(_named, thread, id)

    async def shown(self, place: int, ids: Sequence[str]) -> None:
        await self._store.write(_shown, place, ids)

    async def lines(self, wanted: LineFilter) -> list[Line]:
        return await self._store.read(_lines, wanted)

    async def unsettled(self, thread: Thread) -> list[Line]:
        return await self._store.read(_unsettled, thread)

    async def behind(self) -> list[Thread]:
        return await self._store.read(_behind)

    async def gather(self, thread: Thread, wanted: Wanted) -> Gathered:
        return await self._store.read(_gather, thread, wanted)

    async def conversations(self, namespace: str, person: str, limit: int) -> list[ConversationInfo]:
        return await self._store.read(_conversations, namespace, person, limit)

    async def marks(self, limit: int) -> list[tuple[str, int, int]]:
        return await self._store.read(_marks, limit)

    async def topic(self, task: str) -> Thread | None:
        return await self._store.read(_topic, task)

    async def tell(self, task: str, until: int, lines: Sequence[Line], settled: Sequence[str] = ()) -> list[Line]:
        return await self._store.write(_tell, task, until, lines, settled)

    async def meant(self, model: str, tasks: Sequence[str]) -> dict[str, Meant]:
        return await self._store.read(meanings.kept, model, tasks)

    async def mean(self, model: str, found: Mapping[str, Meant]) -> None:
        await self._store.write(meanings.keep, model, found)

    async def nearest(self, thread: Thread, model: str, vector: bytes, limit: int) -> dict[str, float]:
        return await self._store.read(_nearest, thread, model, vector, limit)


def _read(row: Row) -> Line:
    # What was decoded a moment ago is nobody else's: it needs no copy.
    place, state, body = row
    line = _line.decode(body)
    force_setattr(line, "place", place)
    force_setattr(line, "state", state)
    return line


def _all(connection: sqlite3.Connection, statements: Statements, name: str, *values: object) -> list[Line]:
    return [_read(row) for row in connection.execute(statements[name], values).fetchall()]


def _one(connection: sqlite3.Connection, statements: Statements, name: str, *values: object) -> Line | None:
    row = connection.execute(statements[name], values).fetchone()
    return _read(row) if row else None


def _thread(connection: sqlite3.Connection, statements: Statements, thread: Thread) -> int | None:
    row = connection.execute(statements["thread"], (thread.namespace, thread.person, thread.conversation)).fetchone()
    return row[0] if row else None


# --- writes


def _add(
    connection: sqlite3.Connection, statements: Statements, lines: Sequence[Line], words: Sequence[str]
) -> list[tuple[Line, bool]]:
    """The lines as they are kept, and whether each is new."""
    kept: list[tuple[Line, bool]] = []
    for line in lines:
        thread = thread_of(line)
        number = _thread(connection, statements, thread)
        if number is None:
            values = (thread.namespace, thread.person, thread.conversation, line.channel, line.at)
            number = connection.execute(statements["add_thread"], values).lastrowid
        assert number is not None
        body = _encode(replace(line, place=0))
        whose = (number, line.id, line.namespace, line.person, line.by, line.channel)
        added = connection.execute(statements["add_line"], (*whose, line.task, line.question, line.state, body))
        if added.rowcount == 0:
            found = _one(connection, statements, "line_of", number, line.id)
            assert found is not None
            kept.append((found, False))
            continue
        assert added.lastrowid is not None
        new = replace(line, place=added.lastrowid)
        connection.execute(statements["touch_thread"], (number, line.at, new.place, line.channel))
        connection.executemany(statements["add_line_file"], [(file.digest, new.place) for file in line.files])
        _topical(connection, statements, number, new, words)
        kept.append((new, True))
    return kept


def _topical(
    connection: sqlite3.Connection, statements: Statements, number: int, line: Line, words: Iterable[str]
) -> None:
    if line.task:
        connection.execute(statements["set_topic"], (line.task, number, line.place))
        if words:
            room = WORDS - connection.execute(statements["count_words"], (line.task,)).fetchone()[0]
            rows = [(number, word, line.task) for word in words]
            connection.executemany(statements["add_word"], rows[: max(0, room)])


def _change(
    connection: sqlite3.Connection,
    statements: Statements,
    lines: Sequence[Line],
    words: Sequence[str],
    settled: Sequence[str],
) -> None:
    for line in lines:
        number = _thread(connection, statements, thread_of(line))
        values = (line.place, line.task, line.question, line.state, _encode(replace(line, place=0)))
        if number is not None and connection.execute(statements["change_line"], values).rowcount:
            _topical(connection, statements, number, line, words)
            _settle(connection, statements, line.task, settled)


def _settle(connection: sqlite3.Connection, statements: Statements, task: str, settled: Sequence[str]) -> None:
    for question in settled:
        if question == "*":
            connection.execute(statements["settle_all_questions"], (task,))
        else:
            connection.execute(statements["settle_questions"], (task, question))


def _shown(connection: sqlite3.Connection, statements: Statements, place: int, ids: Sequence[str]) -> None:
    line = _one(connection, statements, "line", place)
    if line is None:
        return
    connection.execute(statements["forget_shown"], (place,))
    connection.executemany(statements["add_shown"], [(place, id) for id in ids])
    body = _encode(replace(line, place=0, sent=tuple(ids)))
    connection.execute(statements["change_line"], (place, line.task, line.question, line.state, body))


def _tell(
    connection: sqlite3.Connection,
    statements: Statements,
    task: str,
    until: int,
    lines: Sequence[Line],
    settled: Sequence[str],
) -> list[Line]:
    # A task that was deleted while its journal was read has nothing to say any more.
    there = connection.execute(statements["whose_task"], (task,)).fetchone() is not None
    kept = _add(connection, statements, lines, ()) if there else []
    _settle(connection, statements, task.partition(".")[0], settled)
    connection.execute(statements["see_line_mark"], (until, task))
    connection.execute(statements["forget_line_mark"], (task,))
    return [line for line, new in kept if new]


# --- reads


def _named(connection: sqlite3.Connection, statements: Statements, thread: Thread, id: str) -> Line | None:
    number = _thread(connection, statements, thread)
    if number is None:
        return None
    return _one(connection, statements, "line_of", number, id) or _one(connection, statements, "line_shown", number, id)


def _lines(connection: sqlite3.Connection, statements: Statements, wanted: LineFilter) -> list[Line]:
    after, by, task, limit = wanted.after, wanted.by, wanted.task, wanted.limit
    last = "last_" if wanted.newest else ""
    if wanted.conversation:
        number = _thread(connection, statements, Thread(wanted.namespace, wanted.person, wanted.conversation))
        found = _all(connection, statements, f"{last}lines_of_thread", number, after, by, task, limit) if number else []
    elif task:
        found = _all(connection, statements, f"{last}lines_of_task", task, after, by, limit)
        found = [line for line in found if (line.namespace, line.person) == (wanted.namespace, wanted.person)]
    else:
        values = (wanted.namespace, wanted.person, after, wanted.channel, by, limit)
        found = _all(connection, statements, f"{last}lines_of_person", *values)
    return found[::-1] if wanted.newest else found


def _unsettled(connection: sqlite3.Connection, statements: Statements, thread: Thread) -> list[Line]:
    number = _thread(connection, statements, thread)
    return _all(connection, statements, "lines_unfiled", number, "person") if number else []


def _behind(connection: sqlite3.Connection, statements: Statements) -> list[Thread]:
    return [Thread(*row) for row in connection.execute(statements["threads_behind"]).fetchall()]


def _gather(connection: sqlite3.Connection, statements: Statements, thread: Thread, wanted: Wanted) -> Gathered:
    number = _thread(connection, statements, thread)
    if number is None:
        return Gathered()
    places: dict[str, int] = {}
    for ended, limit in ((0, wanted.open), (1, wanted.ended)):
        places |= dict(connection.execute(statements["topics_spoken_of"], (number, ended, limit)).fetchall())
    for task in (*wanted.tasks, *_with_words(connection, statements, number, wanted)):
        if task not in places and (row := connection.execute(statements["topic_place"], (task, number)).fetchone()):
            places[task] = row[0]
    opened = connection.execute(statements["count_topics"], (number,)).fetchone()[0]
    waiting = connection.execute(statements["count_questions"], (number,)).fetchone()[0]
    topics: list[Mentioned] = []
    for task in sorted(places, key=lambda task: -places[task]):
        row = reads.task(connection, statements, task)
        if row is not None:
            lines = _all(connection, statements, "last_lines_of_task", task, 0, "", wanted.lines)[::-1]
            questions = _all(connection, statements, "open_questions", task) if waiting else []
            topics.append(Mentioned(row, tuple(lines), tuple(questions)))
    recent = _all(connection, statements, "last_lines_of_thread", number, 0, "", "", wanted.recent)[::-1]
    return Gathered(tuple(topics), tuple(recent), opened, waiting)


def _with_words(connection: sqlite3.Connection, statements: Statements, number: int, wanted: Wanted) -> list[str]:
    """The tasks that have most of the words that are wanted, rare ones counting for more."""
    weights: dict[str, float] = {}
    for word in wanted.words:
        found = connection.execute(statements["topics_with_word"], (number, word, COMMON)).fetchall()
        if len(found) < COMMON:
            for (task,) in found:
                weights[task] = weights.get(task, 0.0) + 1 / (1 + len(found))
    return sorted(weights, key=lambda task: (-weights[task], task))[: wanted.found]


def _nearest(
    connection: sqlite3.Connection, statements: Statements, thread: Thread, model: str, vector: bytes, limit: int
) -> dict[str, float]:
    number = _thread(connection, statements, thread)
    return meanings.nearest(connection, statements, number, model, vector, limit) if number is not None else {}


def _conversations(
    connection: sqlite3.Connection, statements: Statements, namespace: str, person: str, limit: int
) -> list[ConversationInfo]:
    found: list[ConversationInfo] = []
    for name, channel, at, place, number in connection.execute(
        statements["conversations_of"], (namespace, person, limit)
    ).fetchall():
        opened = connection.execute(statements["count_topics"], (number,)).fetchone()[0]
        waiting = connection.execute(statements["count_questions"], (number,)).fetchone()[0]
        found.append(ConversationInfo(name, channel, at, place, opened, waiting))
    return found


def _marks(connection: sqlite3.Connection, statements: Statements, limit: int) -> list[tuple[str, int, int]]:
    return connection.execute(statements["line_marks"], (limit,)).fetchall()


def _topic(connection: sqlite3.Connection, statements: Statements, task: str) -> Thread | None:
    row = connection.execute(statements["topic"], (task,)).fetchone()
    return Thread(*row) if row else None
