"""What must be true of conversations when everything has settled."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

from agenthost.core.commands import Ask
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.events import Answered, Asked, Created, Event, Received, Reply
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import text_of
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.host.conversing.doing import _id as message_id  # pyright: ignore[reportPrivateUsage]
from agenthost.host.conversing.moving import again_id
from agenthost.host.host import Host
from host.conversing.talk import TOKEN, Message, People

WORK = ("new", "again", "steer", "answer")
"""What a message can be so that a task has it."""


class Book:
    """Everything that a host holds, read once."""

    def __init__(self) -> None:
        self.rows: dict[str, TaskRow] = {}
        self.events: dict[str, list[Event]] = {}
        self.lines: list[Line] = []

    @classmethod
    async def read(cls, host: Host, names: list[str]) -> "Book":
        """The host's own reads, once nothing goes on."""
        book = cls()
        for row in await host.tasks(Filter(limit=1000)):
            book.rows[row.id] = row
            book.events[row.id] = [each.event for each in await host.events_of(row.id)]
            left = await host._adapters.store.inbox(row.id)  # pyright: ignore[reportPrivateUsage]
            assert not [item for item in left if item.kind in ("message", "reply")], (
                f"{row.id} left {left} in its inbox ({row.state}, {row.hold})"
            )
        for name in names:
            book.lines += await host.conversing.lines(LineFilter(conversation=name, limit=1000))
        return book

    def superseded(self, task: str) -> bool:
        """Whether a task counts no more, because a message was taken out of it: another goes on in its place, or none."""
        moved = "was meant for another task" in self.rows[task].reason or any(
            line.moved_from == task for line in self.lines
        )
        return moved or any(
            isinstance(events[0], Created) and events[0].spec.forked is not None and events[0].spec.forked.task == task
            for events in self.events.values()
        )

    def words(self) -> Counter[tuple[str, str]]:
        """How often each task was told each word by people."""
        found: Counter[tuple[str, str]] = Counter()
        for task, events in self.events.items():
            if self.rows[task].kind == "routing":
                continue
            for event in events:
                for word in TOKEN.finditer(said(event)):
                    found[word[0], task] += 1
        return found


def said_first(text: str) -> str:
    """What a person said of what begins a task: further work names what it goes on from."""
    return text.partition("\n\n")[2] if text.startswith("This goes on") else text


def said(event: Event) -> str:
    """What a person said by an event."""
    if isinstance(event, Created):
        return said_first(text_of(event.spec.message.parts))
    if isinstance(event, Received):
        return text_of(event.message.parts)
    return event.answer.text if isinstance(event, Answered) and isinstance(event.answer, Reply) else ""


def verify(book: Book, people: People, crashes: int) -> None:
    """All that is promised."""
    of = {(line.conversation, line.id): line for line in book.lines if line.by == "person"}
    sent = {(each.came.conversation, each.came.key): each for each in people.messages if each.taken or each.refused}
    assert (
        Counter((line.conversation, line.id) for line in book.lines).most_common(1)[0][1] == 1 if book.lines else True
    )
    assert of.keys() <= {(each.came.conversation, each.came.key) for each in people.messages}, (
        "a line that nobody wrote"
    )
    words = book.words()
    for key, message in sent.items():
        line = of.get(key)
        if message.taken:
            assert line is not None, f"{key} was taken, and is gone"
        if line is not None:
            _verify_line(book, line, message, words)
    for row in book.rows.values():
        assert row.hold in ("", "paused"), f"{row.id} is held: {row.reason}"
    _verify_told(book)
    _verify_order(book, people)
    _verify_routed(book, people, crashes)
    for name, heard in people.heard.items():
        there = [line.place for line in book.lines if line.conversation == name and line.by == "host"]
        assert [line.place for line in heard] == there, f"{name} was heard otherwise than it was said"


def _verify_line(book: Book, line: Line, message: Message, words: Counter[tuple[str, str]]) -> None:
    assert line.state == "filed", f"{line} waits for ever"
    word = TOKEN.search(line.text)
    if message.refused and not line.task:
        assert word is None or not any(count for (said, _), count in words.items() if said == word[0])
        return
    assert line.decision is not None, f"nobody decided about {line}"
    if word is None or line.decision.meaning not in WORK or line.decision.rule == "button":
        return
    where = {task: count for (said, task), count in words.items() if said == word[0]}
    # What had ended before a message was moved away has it for good.
    past = {task for task in where if line.moved_from and book.rows[task].state in FINAL}
    counting = {
        task: count for task, count in where.items() if task == line.task or not (task in past or book.superseded(task))
    }
    assert counting == {line.task: 1}, f"{line} counts in {where}, {[(task, book.rows[task].reason) for task in where]}"
    if line.became.partition("/")[0] != line.task:
        heard = [
            event for event in book.events[line.task] if isinstance(event, Received) and event.message.id == line.became
        ]
        assert len(heard) == 1 and line.became in (message_id(line), again_id(line)), line


def _verify_told(book: Book) -> None:
    """Every end is told once where its task is spoken of, and the questions that stand open are those that are."""
    topics = {line.task for line in book.lines if line.task}
    # A task that goes on as another one leaves it what it has said.
    ends = Counter(line.task for line in book.lines if line.kind == "answer" and line.id.startswith(f"{line.task}:"))
    open_lines = Counter(line.question for line in book.lines if line.kind == "question" and line.state == "asked")
    for task in topics:
        row = book.rows[task]
        if row.state in FINAL:
            assert ends[task] == 1, f"the end of {task} was told {ends[task]} times"
        asked = {
            event.command.id
            for event in book.events[task]
            if isinstance(event, Asked) and isinstance(event.command, Ask)
        }
        answered = {event.command for event in book.events[task] if isinstance(event, Answered)}
        waits = {f"{task}/{id}" for id in asked - answered} if row.state not in FINAL else set[str]()
        stand = {question for question in open_lines if question.startswith(f"{task}/")}
        assert waits == stand, f"{task} ({row.state}) asks {waits}, and {stand} stand open"
    assert all(count == 1 for count in open_lines.values())
    for line in book.lines:
        if line.by == "person":
            whiches = [
                each
                for each in book.lines
                if each.kind == "which" and each.reply_to == line.id and each.conversation == line.conversation
            ]
            assert len({each.text for each in whiches}) == len(whiches), whiches
            told = [
                each.text
                for each in book.lines
                if each.kind == "told" and each.reply_to == line.id and each.conversation == line.conversation
            ]
            assert len(set(told)) == len(told), told


def _verify_order(book: Book, people: People) -> None:
    """What came later to a conversation was never done before what came earlier."""
    places = {
        (line.conversation, TOKEN.search(line.text)[0]): line
        for line in book.lines
        if line.by == "person" and TOKEN.search(line.text)
    }  # type: ignore[index]
    by = {word: line for (_, word), line in places.items()}
    done: dict[str, list[Line]] = {}
    for word in people.told:
        line = by.get(word)
        if (
            line is not None
            and line.decision is not None
            and line.decision.meaning in WORK
            and not line.moved_from
            and line.place not in people.moved
        ):
            done.setdefault(line.conversation, []).append(line)
    for name, lines in done.items():
        for before, after in pairwise(lines):
            assert before.place < after.place, f"{name}: {after} was done after {before}"


def _verify_routed(book: Book, people: People, crashes: int) -> None:
    """A message is asked about once at most; a call that a crash cut off is made again."""
    asked: Counter[str] = Counter()
    for task, row in book.rows.items():
        if row.kind == "routing":
            created = book.events[task][0]
            assert isinstance(created, Created)
            spoken: Any = created.spec.inputs["spoken"]
            if spoken.get("text"):  # words are a message's own; two may bring the same file and say nothing
                asked[json.dumps(spoken)] += 1
            assert people.routed.get(task, 0) <= 1 + crashes
    for words, count in asked.items():
        assert count == 1, f"{words} was asked about {count} times"
