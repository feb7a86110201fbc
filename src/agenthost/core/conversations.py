"""Conversations: linear threads of lines by people and by the host, whatever tasks they are about; and the port that keeps them.

A channel (a chat, the page) gives what people wrote with `HostApi.place`, shows the host's lines in their order, and says under which
ids of its own it showed them (`sent`), so that replies to them are understood.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from agenthost.core.parts import FilePart
from agenthost.core.routing import Decision, Topic
from agenthost.core.tasks import TaskRow

LineState = Literal["waiting", "asked", "decided", "filed"]
"""Of a person's line: its task isn't known yet; somebody was asked for it; it is known, and the task hasn't it yet; done."""

LineKind = Literal["message", "edit", "delete", "answer", "question", "settled", "which", "told"]
"""A person's `message`, its new text, or that it was taken back. The host's: a task's `answer` at its end, its `question`, that a question
was `settled` elsewhere or by its default, the question for `which` task a message is, and what else the host has `told`."""


class Button(Struct, frozen=True):
    """A thing to press under a line; `data` (at most 64 bytes) comes back as `Incoming.button`."""

    label: str
    data: str


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of a conversation. `place` numbers all lines of a host in the order in which they came; `id` is the channel's own of a
    person's message, and made by the host for its lines: unique in the conversation. `reply_to` is the id of the line that it answers.
    `task` is the one that it was filed for, or comes from; `label` names that task to people where more than one is open. `account`: who wrote, in the
    channel's words. `edits`: the id of the message whose new text this is. `sent`: the channel's ids of the host's line, once it was
    shown. `moved_from`: the task that had it before. `became`: the id of the task's message, or of the new task, that it became. `at` in seconds
    since the epoch."""

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
    state: LineState = "filed"
    decision: Decision | None = None
    sent: tuple[str, ...] = ()
    moved_from: str = ""
    became: str = ""
    namespace: str = "default"
    person: str = "owner"
    place: int = 0


class LineFilter(Struct, frozen=True, omit_defaults=True):
    """Which lines are wanted, oldest first: after a place; of a conversation, or of all whose channel it is; of whom. `newest`: the last `limit` of them in
    place of the first. `task`: only those of one task."""

    after: int = 0
    conversation: str = ""
    channel: str = ""
    by: Literal["", "person", "host"] = ""
    task: str = ""
    person: str = ""
    namespace: str = "default"
    newest: bool = False
    limit: int = 100


class ConversationInfo(Struct, frozen=True, omit_defaults=True):
    """A conversation as it is listed: its last line's time (seconds since the epoch) and place, how many of its tasks go on, and how many wait."""

    conversation: str
    channel: str = ""
    at: float = 0.0
    place: int = 0
    open: int = 0
    waiting: int = 0


class Conversing(Protocol):
    """The use-cases, for one caller: each person has their own conversations. All raise NotFound for a line or task that isn't theirs."""

    async def lines(self, wanted: LineFilter) -> list[Line]: ...

    def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        """Lines after a place, for ever: those that come while it listens too; a line that changes (moved, filed) isn't told again."""
        ...

    async def line(self, place: int) -> Line: ...

    async def sent(self, place: int, ids: Sequence[str]) -> None:
        """The channel has shown a line of the host, as its messages `ids`. Said again, the ids are replaced."""
        ...

    async def move(self, place: int, to: str, name: str = "") -> tuple[Line, str]:
        """A message was meant for another task: `to` is its id, empty for a new one (of the agent `name`, else of the one that took the message at first). The
        line as it is then, and in words what couldn't be undone, empty where all was. Raises Conflict."""
        ...

    async def topics(self, conversation: str, all: bool = False) -> list[Topic]:
        """The tasks of a conversation that go on, the one spoken of last first; with `all`, also those that ended, 50 at most."""
        ...

    async def conversations(self, limit: int = 50) -> list[ConversationInfo]:
        """The caller's, the one spoken in last first."""
        ...


class Found(Struct, frozen=True):
    """A task of a conversation and how many of the words that were looked for it has."""

    task: TaskRow
    hits: int = 0


class Conversations(Protocol):
    """Keeps lines. What it returned for is on disk. Its conformance suite is `agenthost.testing.conversations`."""

    async def add(self, lines: Sequence[Line]) -> list[Line]:
        """Keep lines, all or none, each once by its conversation and id: with its place, or as it was kept before."""
        ...

    async def change(self, lines: Sequence[Line], terms: Sequence[tuple[str, Sequence[str]]] = ()) -> None:
        """Keep lines as they are now (by their place), all or none, and words by which tasks are found (task, words)."""
        ...

    async def line(self, place: int) -> Line | None: ...

    async def named(self, namespace: str, person: str, conversation: str, id: str) -> Line | None:
        """The line of that id, or the host's line that its channel showed under it."""
        ...

    async def lines(self, wanted: LineFilter) -> list[Line]: ...

    async def unsettled(self, namespace: str, person: str, conversation: str) -> list[Line]:
        """A person's lines there that aren't filed yet, oldest first."""
        ...

    async def behind(self) -> list[tuple[str, str, str]]:
        """Conversations with lines that aren't filed yet: namespace, person, conversation."""
        ...

    async def find(
        self, namespace: str, person: str, conversation: str, words: Sequence[str], limit: int
    ) -> list[Found]:
        """The tasks of a conversation that have most of those words, rare ones first; among equals the one spoken of last."""
        ...

    async def topics(self, namespace: str, person: str, conversation: str, open: bool, limit: int) -> list[TaskRow]:
        """The tasks of a conversation, the one spoken of last first; with `open`, those that go on."""
        ...

    async def counts(self, namespace: str, person: str, conversation: str) -> tuple[int, int]:
        """How many tasks of a conversation go on, and how many of those wait for an answer."""
        ...

    async def conversations(self, namespace: str, person: str, limit: int) -> list[ConversationInfo]: ...

    async def marks(self, limit: int) -> list[tuple[str, int]]:
        """Tasks of conversations with events that weren't told there yet: task, and the number up to which they were."""
        ...

    async def tell(self, task: str, until: int, lines: Sequence[Line]) -> list[Line]:
        """Keep what a task's events up to `until` came to, all or none; what was told before is left out."""
        ...
