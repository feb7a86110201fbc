"""Conversations and their lines in memory: the same rules, for tests."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

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
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.meanings import Meant, cosine
from agenthost.stores.memory import MemoryStore

_WAITS = ("input-required", "auth-required")


class MemoryConversations:
    """The port `core.conversations.Conversations`. `store` tells which tasks ended or wait for an answer."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lines: dict[int, Line] = {}
        self._last = 0
        self._shown: dict[tuple[Thread, str], int] = {}
        self._topics: dict[str, tuple[Thread, int]] = {}
        self._words: dict[str, dict[str, None]] = {}
        self._meanings: dict[str, tuple[str, Meant]] = {}
        self._seen: dict[str, int] = {}
        self._asked: set[str] = set()

    async def add(self, lines: Sequence[Line], words: Sequence[str] = ()) -> list[Line]:
        return [line for line, _ in self._add(lines, words)]

    def _add(self, lines: Sequence[Line], words: Sequence[str] = ()) -> list[tuple[Line, bool]]:
        kept: list[tuple[Line, bool]] = []
        for line in lines:
            thread = thread_of(line)
            there = next((each for each in self._of(thread) if each.id == line.id), None)
            if there is None:
                self._last += 1
                self._lines[self._last] = replace(line, place=self._last)
                self._topical(self._lines[self._last], words)
            kept.append((there or self._lines[self._last], there is None))
        return kept

    def _topical(self, line: Line, words: Iterable[str]) -> None:
        if line.task:
            _, place = self._topics.get(line.task, (None, 0))
            self._topics[line.task] = (thread_of(line), max(place, line.place))
            self._words.setdefault(line.task, {}).update(dict.fromkeys(words))

    async def change(self, lines: Sequence[Line], words: Sequence[str] = (), settled: Sequence[str] = ()) -> None:
        for line in lines:
            if line.place in self._lines:
                self._lines[line.place] = line
                self._topical(line, words)
                self._settle(line.task, settled)

    def _settle(self, task: str, settled: Sequence[str]) -> None:
        for place, line in self._lines.items():
            is_open = line.task == task and line.by == "host" and line.state == "asked"
            if is_open and ("*" in settled or line.question in settled):
                self._lines[place] = replace(line, state="filed")

    async def line(self, place: int) -> Line | None:
        return self._lines.get(place)

    async def named(self, thread: Thread, id: str) -> Line | None:
        found = next((line for line in self._of(thread) if line.id == id), None)
        return found or self._lines.get(self._shown.get((thread, id), 0))

    async def shown(self, place: int, ids: Sequence[str]) -> None:
        if (line := self._lines.get(place)) is not None:
            self._shown = {key: at for key, at in self._shown.items() if at != place}
            self._shown |= {(thread_of(line), id): place for id in ids}
            self._lines[place] = replace(line, sent=tuple(ids))

    async def lines(self, wanted: LineFilter) -> list[Line]:
        found = [
            line
            for line in self._lines.values()
            if line.place > wanted.after
            and line.namespace == wanted.namespace
            and line.person == wanted.person
            and (not wanted.conversation or line.conversation == wanted.conversation)
            and (not wanted.channel or line.channel == wanted.channel)
            and (not wanted.by or line.by == wanted.by)
            and (not wanted.task or line.task == wanted.task)
        ]
        return found[-wanted.limit :] if wanted.newest else found[: wanted.limit]

    def _of(self, thread: Thread) -> list[Line]:
        return [line for line in self._lines.values() if thread_of(line) == thread]

    async def unsettled(self, thread: Thread) -> list[Line]:
        return [line for line in self._of(thread) if line.by == "person" and line.state != "filed"]

    async def behind(self) -> list[Thread]:
        waiting = (line for line in self._lines.values() if line.by == "person" and line.state != "filed")
        return list(dict.fromkeys(thread_of(line) for line in waiting))

    async def gather(self, thread: Thread, wanted: Wanted) -> Gathered:
        tasks = self._store.tables.tasks
        self._join()
        places = {task: place for task, (of, place) in self._topics.items() if of == thread}
        ranked = sorted(places, key=lambda task: -places[task])
        ended = {task for task in ranked if task in tasks and tasks[task].state in FINAL}
        chosen = {*[task for task in ranked if task not in ended][: wanted.open]}
        chosen |= {*[task for task in ranked if task in ended][: wanted.ended], *self._with_words(places, wanted)}
        chosen |= {*wanted.tasks}
        topics = [
            Mentioned(
                tasks[task],
                tuple([line for line in self._of(thread) if line.task == task][-wanted.lines :]),
                tuple(line for line in self._of(thread) if line.task == task and _is_open(line)),
            )
            for task in ranked
            if task in chosen and task in tasks
        ]
        waiting = sum(line.by == "host" and line.state != "filed" for line in self._of(thread))
        recent = self._of(thread)[-wanted.recent :]
        return Gathered(tuple(topics), tuple(recent), len(places) - len(ended), waiting)

    def _with_words(self, places: dict[str, int], wanted: Wanted) -> list[str]:
        weights: dict[str, float] = {}
        for word in wanted.words:
            found = [task for task in places if word in self._words.get(task, {})]
            for task in found:
                weights[task] = weights.get(task, 0.0) + 1 / (1 + len(found))
        return sorted(weights, key=lambda task: (-weights[task], task))[: wanted.found]

    def _join(self) -> None:
        """Take the tasks that were begun elsewhere in a conversation that is held here."""
        threads = {thread_of(line) for line in self._lines.values()}
        for row in self._store.tables.tasks.values():
            thread = Thread(row.namespace, row.person, row.conversation)
            if not row.parent and row.id not in self._topics and thread in threads:
                self._topics[row.id] = (thread, max(line.place for line in self._of(thread)))

    async def conversations(self, namespace: str, person: str, limit: int) -> list[ConversationInfo]:
        last: dict[Thread, Line] = {}
        for line in self._lines.values():
            if (line.namespace, line.person) == (namespace, person):
                last[thread_of(line)] = line
        found: list[ConversationInfo] = []
        for thread, line in sorted(last.items(), key=lambda item: -item[1].place)[:limit]:
            all = await self.gather(thread, Wanted())
            channel = next((each.channel for each in reversed(self._of(thread)) if each.channel), "")
            found.append(ConversationInfo(thread.conversation, channel, line.at, line.place, all.open, all.waiting))
        return found

    async def marks(self, limit: int) -> list[tuple[str, int, int]]:
        self._join()
        found: list[tuple[str, int, int]] = []
        for row in self._store.tables.tasks.values():
            waits = row.state in _WAITS
            was = row.id in self._asked
            self._asked |= {row.id} if waits else set()
            told = self._seen.get(row.id, 0)
            if root_id(row.id) in self._topics and row.seq > told and (waits or was or row.state in FINAL):
                found.append((row.id, row.seq, told))
        return sorted(found)[:limit]

    async def topic(self, task: str) -> Thread | None:
        self._join()
        return self._topics[task][0] if task in self._topics else None

    async def tell(self, task: str, until: int, lines: Sequence[Line], settled: Sequence[str] = ()) -> list[Line]:
        kept = self._add(lines) if task in self._store.tables.tasks else []
        self._settle(root_id(task), settled)
        self._seen[task] = max(until, self._seen.get(task, 0))
        return [line for line, new in kept if new]

    async def meant(self, model: str, tasks: Sequence[str]) -> dict[str, Meant]:
        return {task: self._meanings[task][1] for task in tasks if self._meanings.get(task, ("",))[0] == model}

    async def mean(self, model: str, found: Mapping[str, Meant]) -> None:
        self._meanings |= {task: (model, one) for task, one in found.items() if task in self._topics}

    async def nearest(self, thread: Thread, model: str, vector: bytes, limit: int) -> dict[str, float]:
        here = [task for task, (of, _) in self._topics.items() if of == thread]
        kept = await self.meant(model, here)
        near = {task: cosine(vector, one.vector) for task, one in kept.items() if len(one.vector) == len(vector)}
        return dict(sorted(near.items(), key=lambda one: (-one[1], one[0]))[:limit])

    def held(self) -> set[str]:
        """The files that lines name."""
        return {file.digest for line in self._lines.values() for file in line.files}

    def forget(self, root: str) -> None:
        """Forget what was said about a task that is deleted."""
        self._drop([line for line in self._lines.values() if line.task == root])
        self._topics.pop(root, None)
        self._words.pop(root, None)
        self._meanings.pop(root, None)

    def forget_person(self, namespace: str, person: str) -> None:
        """Forget all conversations of somebody, or (`""`) of everybody of a namespace."""
        self._drop(
            [each for each in self._lines.values() if each.namespace == namespace and person in ("", each.person)]
        )

    def _drop(self, lines: list[Line]) -> None:
        for line in lines:
            del self._lines[line.place]
        self._shown = {key: place for key, place in self._shown.items() if place in self._lines}


def _is_open(line: Line) -> bool:
    return line.by == "host" and line.state == "asked"
