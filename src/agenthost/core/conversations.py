"""Conversations: linear threads of lines by people and by the host, whatever tasks they are about; and the port that
keeps them.

A channel (a chat, the page) gives what people wrote with `HostApi.place`, shows the host's lines in their order, and
says under which ids of its own it showed them (`sent`), so that replies to them are understood.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from agenthost.core.parts import FilePart
from agenthost.core.routing import Decision, Topic
from agenthost.core.tasks import TaskRow

LineState = Literal["waiting", "asked", "decided", "filed"]
"""Of a person's line: its task isn't known yet; somebody was asked for it; it is known, and the task hasn't it yet;
done."""

LineKind = Literal["message", "edit", "delete", "answer", "question", "settled", "which", "told"]
"""A person's `message`, its new text, or that it was taken back. The host's: a task's `answer` at its end, its
`question`, that a question was `settled` elsewhere or by its default, the question for `which` task a message is, and
what else the host has `told`."""


class Button(Struct, frozen=True):
    """A thing to press under a line; `data` (at most 64 bytes) comes back as `Incoming.button`."""

    label: str
    data: str


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of a conversation.

    `place` numbers all lines of a host in the order in which they came; `id` is the channel's own of a person's
    message, and made by the host for its lines: unique in the conversation. `at` in seconds since the epoch. `account`:
    who wrote, in the channel's words. `reply_to` is the id of the line that it answers. `forwarded`: words of somebody
    else that come with it, which are nobody's order.

    `task` is the one that it was filed for, or comes from; `label` names that task to people where more than one is
    open. `question`: of a question and its answer `TASK/COMMAND`, of `which` what tells it from others. `to`: whoever
    sent it named this task (`TASK`) or question. `became`: the id of the task's message, of the new task, or of the
    question that it became or answered; empty where no task has it. `moved_from`: the task that had it before. `sent`:
    the channel's ids of the host's line, once it was shown.

    `edits`: the id of the message whose new text this is, or which it takes back. Of that message, `before` are the
    texts that it had, the first one first, and `deleted` says that it was taken back."""

    conversation: str
    id: str
    by: Literal["person", "host"]
    kind: LineKind
    at: float
    text: str = ""
    files: tuple[FilePart, ...] = ()
    buttons: tuple[Button, ...] = ()
    reply_to: str = ""
    quote: str = ""
    button: str = ""
    task: str = ""
    question: str = ""
    label: str = ""
    name: str = ""
    account: str = ""
    channel: str = ""
    edits: str = ""
    to: str = ""
    state: LineState = "filed"
    decision: Decision | None = None
    sent: tuple[str, ...] = ()
    moved_from: str = ""
    became: str = ""
    namespace: str = "default"
    person: str = "owner"
    place: int = 0
    forwarded: str = ""
    before: tuple[str, ...] = ()
    deleted: bool = False


class LineFilter(Struct, frozen=True, omit_defaults=True):
    """Which lines are wanted, oldest first: after a place; of a conversation, or of all whose channel it is; of whom.
    `newest`: the last `limit` of them in place of the first. `task`: only those of one task."""

    after: int = 0
    conversation: str = ""
    channel: str = ""
    by: Literal["", "person", "host"] = ""
    task: str = ""
    person: str = "owner"
    namespace: str = "default"
    newest: bool = False
    limit: int = 100


class ConversationInfo(Struct, frozen=True, omit_defaults=True):
    """A conversation as it is listed: its last line's time (seconds since the epoch) and place, how many of its tasks
    go on, and how many wait."""

    conversation: str
    channel: str = ""
    at: float = 0.0
    place: int = 0
    open: int = 0
    waiting: int = 0


class Moved(Struct, frozen=True, omit_defaults=True):
    """A message that is another task's now; in words, what it caused that couldn't be undone."""

    line: Line
    left: str = ""


class Conversing(Protocol):
    """The use-cases: each person has their own conversations. All raise NotFound for a line or task that isn't theirs.
    `person` and `namespace` are the host's to say: what a caller gives there is not believed."""

    async def lines(self, wanted: LineFilter) -> list[Line]: ...

    def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        """Lines after a place, for ever: those that come while it listens too; a line that changes (moved, filed) isn't
        told again."""
        ...

    async def line(self, place: int, person: str = "owner", namespace: str = "default") -> Line: ...

    async def sent(self, place: int, ids: Sequence[str], person: str = "owner", namespace: str = "default") -> None:
        """The channel has shown a line of the host, as its messages `ids`. Said again, the ids are replaced."""
        ...

    async def move(
        self, place: int, to: str, name: str = "", person: str = "owner", namespace: str = "default"
    ) -> Moved:
        """A message was meant for another task: `to` is its id, empty for a new one (of the agent `name`, else of the
        one that took the message at first). Raises Conflict."""
        ...

    async def topics(
        self, conversation: str, all: bool = False, person: str = "owner", namespace: str = "default"
    ) -> list[Topic]:
        """The tasks of a conversation that go on, the one spoken of last first; with `all`, also those that ended, 50
        at most."""
        ...

    async def conversations(
        self, limit: int = 50, person: str = "owner", namespace: str = "default"
    ) -> list[ConversationInfo]:
        """Somebody's, the one spoken in last first."""
        ...


class Mentioned(Struct, frozen=True, omit_defaults=True):
    """A task of a conversation: its row, the last lines about it, oldest first, and its questions that are open."""

    task: TaskRow
    lines: tuple[Line, ...] = ()
    questions: tuple[Line, ...] = ()


class Gathered(Struct, frozen=True, omit_defaults=True):
    """What a conversation is about: tasks, the one spoken of last first, its last lines, oldest first, and how many
    tasks go on, and how many questions are open in all."""

    topics: tuple[Mentioned, ...] = ()
    recent: tuple[Line, ...] = ()
    open: int = 0
    waiting: int = 0


class Wanted(Struct, frozen=True):
    """How much of a conversation is gathered: the tasks spoken of last that go on (`open`) or have ended (`ended`),
    those that have most of `words` (`found`), the last lines of each (`lines`) and of all (`recent`), and `tasks` by
    name."""

    words: tuple[str, ...] = ()
    open: int = 20
    ended: int = 10
    found: int = 20
    lines: int = 6
    recent: int = 12
    tasks: tuple[str, ...] = ()


class Thread(Struct, frozen=True):
    """Which conversation: whose, and its name."""

    namespace: str
    person: str
    conversation: str


def thread_of(line: Line) -> Thread:
    """The conversation that a line belongs to."""
    return Thread(line.namespace, line.person, line.conversation)


class Conversations(Protocol):
    """Keeps lines. What it returned for is on disk. A line with a `task` makes that a topic of its conversation, and so
    does a task whose `conversation` has lines. What a topic's end and questions are is marked in the commit of the
    event itself. Its conformance suite is `agenthost.testing.conversations`."""

    async def add(self, lines: Sequence[Line], words: Sequence[str] = ()) -> list[Line]:
        """Keep lines, all or none, each once by its conversation and id: with its place, or as it was kept before.
        `words`: by which their task is found."""
        ...

    async def change(self, lines: Sequence[Line], words: Sequence[str] = (), settled: Sequence[str] = ()) -> None:
        """Keep lines as they are now (by their place), all or none; of a line that is gone, nothing. `words` as in
        `add`; `settled`: questions of the lines' task that are open no more."""
        ...

    async def line(self, place: int) -> Line | None: ...

    async def named(self, thread: Thread, id: str) -> Line | None:
        """The line of that id, or the host's that its channel showed under it."""
        ...

    async def shown(self, place: int, ids: Sequence[str]) -> None:
        """Under which ids its channel has shown a line of the host."""
        ...

    async def lines(self, wanted: LineFilter) -> list[Line]: ...

    async def unsettled(self, thread: Thread) -> list[Line]:
        """A person's lines there that aren't filed yet, oldest first."""
        ...

    async def behind(self) -> list[Thread]:
        """Conversations with a person's lines that aren't filed yet."""
        ...

    async def gather(self, thread: Thread, wanted: Wanted) -> Gathered: ...

    async def conversations(self, namespace: str, person: str, limit: int) -> list[ConversationInfo]: ...

    async def marks(self, limit: int) -> list[tuple[str, int, int]]:
        """Topics, and tasks below them, with events that weren't told yet: task, the number of its last event, and up
        to which they were told."""
        ...

    async def topic(self, task: str) -> Thread | None:
        """The conversation that a root task is a topic of."""
        ...

    async def tell(self, task: str, until: int, lines: Sequence[Line], settled: Sequence[str] = ()) -> list[Line]:
        """Keep what a task's events up to `until` came to, all or none; the lines that weren't there before. `settled`
        as in `change`, of the lines' task."""
        ...
