"""Which task a message is for: what is known of a conversation's tasks, and what was decided.

`agenthost.programs.routing` decides; a host gathers the scene and does what was decided.
"""

from typing import Literal

from msgspec import Struct

from agenthost.core.lifecycle import Hold, State
from agenthost.core.parts import FilePart

Meaning = Literal[
    "answer",
    "steer",
    "cancel",
    "progress",
    "pause",
    "resume",
    "again",
    "new",
    "move",
    "chat",
    "list",
    "choose",
    "unsure",
    "edit",
]
"""What a message is to its task: the answer to its open question, more or other wishes for it, an end to it, a question
how far it is, a rest, and on again, further work on one that had ended; or it begins a `new` one; says that an earlier message
was meant for another (`move`); is small talk (`chat`); asks what there is (`list`); says which task an earlier message is for
(`choose`); or gives an earlier message other words, or takes it back (`edit`). `unsure`: somebody must be asked."""


class TopicQuestion(Struct, frozen=True, omit_defaults=True):
    """A question of a task that waits for its answer. `id` is `TASK/COMMAND`; `at` in seconds since the epoch."""

    id: str
    text: str
    options: tuple[str, ...] = ()
    at: float = 0.0


class Utterance(Struct, frozen=True, omit_defaults=True):
    """Something that was said in a conversation, and for which task. `at` in seconds since the epoch."""

    by: Literal["person", "host"]
    text: str
    task: str = ""
    at: float = 0.0
    files: tuple[str, ...] = ()


class Topic(Struct, frozen=True, omit_defaults=True):
    """A task as its conversation knows it. `opened`, `changed` in seconds since the epoch: when it began, and when it was last
    spoken of. `files` are names of what people gave for it, `artifacts` of what it made, both newest first; `digests` are
    the content hashes of both. `said`: the last that was said for it, oldest first."""

    task: str
    title: str
    name: str
    state: State
    hold: Hold = ""
    opened: float = 0.0
    changed: float = 0.0
    asks: tuple[TopicQuestion, ...] = ()
    files: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    said: tuple[Utterance, ...] = ()


class Referred(Struct, frozen=True, omit_defaults=True):
    """What a message replies to: of which task, which of its questions, and which line it was (its place)."""

    task: str
    question: str = ""
    line: int = 0


class Spoken(Struct, frozen=True, omit_defaults=True):
    """A person's message whose task is to be found. `task` and `question` are named by whoever sent it; `reply` is what it
    answers to in its channel, `quote` the words that it quotes; `button` the data of the button that was pressed;
    `forwarded` are words of somebody else that it passes on."""

    text: str = ""
    files: tuple[FilePart, ...] = ()
    task: str = ""
    question: str = ""
    reply: Referred | None = None
    quote: str = ""
    button: str = ""
    at: float = 0.0
    forwarded: str = ""


class Scene(Struct, frozen=True, omit_defaults=True):
    """A conversation at the moment of a message. `topics`: the tasks that may be meant, the one spoken of last first: a bounded
    part of all (`open` and `waiting` count all that go on and all that wait for an answer). `recent`: the last that was
    said there by anybody, oldest first. `which`: the host asked last for which of these tasks line `asked` is; the empty one stands for a new task."""

    topics: tuple[Topic, ...] = ()
    recent: tuple[Utterance, ...] = ()
    open: int = 0
    waiting: int = 0
    which: tuple[str, ...] = ()
    asked: int = 0


class Candidate(Struct, frozen=True, omit_defaults=True):
    """A task that may be meant (the empty one: a new one), and how much speaks for it, from 0 to 1."""

    task: str
    score: float = 0.0


class Decision(Struct, frozen=True, omit_defaults=True):
    """What a message is, and for which task. `rule` says what decided: `explicit`, `reply`, `button`, `command`, `only-waiting`,
    `artifact`, `file`, `name`, ..., `model`, or `person` who was asked. `confidence` from 0 to 1. `candidates`, the likeliest first,
    were weighed. `line` is the place of the earlier message where it is about one (`move`, `choose`, `edit`; 0: the last one)."""

    meaning: Meaning
    task: str = ""
    question: str = ""
    rule: str = ""
    confidence: float = 1.0
    candidates: tuple[Candidate, ...] = ()
    line: int = 0
