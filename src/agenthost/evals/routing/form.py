"""The form of the labelled conversations: what people said, what the host said, and what is right."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

FOLDER = Path(__file__).parent / "conversations"

Words = Annotated[str, msgspec.Meta(min_length=1)]
At = Annotated[datetime, msgspec.Meta(tz=True)]
Candidates = Annotated[list[str], msgspec.Meta(min_length=2)]
Meaning = Literal["answer", "steer", "cancel", "progress", "pause", "resume", "again"]


class Form(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A record of the set: no key that isn't known."""


class Task(Form):
    """A task that is there some time; `opened` is `before`, or the id of the message that began it."""

    title: Words
    agent: Words
    opened: Words


class Filed(Form):
    task: str
    meaning: Meaning


class New(Form):
    new: str


class Moved(Form):
    """The message `move` was meant for the task `to`, or for a `new` one."""

    move: str
    to: str | None = None
    new: str | None = None


class Chat(Form):
    chat: Literal[True]


class Listing(Form):
    list: Literal[True]


class Unsure(Form):
    """Nobody could know without asking."""

    unsure: Candidates


class Chosen(Form):
    """The answer to the host's question for which task the message `for_` is."""

    choose: str
    for_: str = msgspec.field(name="for")


Label = Filed | New | Moved | Chat | Listing | Unsure | Chosen
LABELS: dict[str, type[Label]] = {
    "task": Filed,
    "move": Moved,
    "new": New,
    "chat": Chat,
    "list": Listing,
    "unsure": Unsure,
    "choose": Chosen,
}


class File(Form):
    name: Words


class Said(Form):
    """A person's turn."""

    id: str
    at: At
    label: dict[str, Any]
    text: Words | None = None
    button: Words | None = None
    edited: Words | None = None
    reply_to: str | None = None
    quote: Words | None = None
    files: list[File] = []

    def right(self) -> Label:
        """What the message is."""
        kind = next(kind for key, kind in LABELS.items() if key in self.label)
        return msgspec.convert(self.label, kind)


class Told(Form):
    """What the host says for a task; `asks`: the task waits for an answer from then on."""

    id: str
    at: At
    host: str
    text: Words
    asks: bool = False
    options: list[Words] = []
    artifact: Words | None = None
    reply_to: str | None = None


class Which(Form):
    """The host asks which task a message is for."""

    id: str
    at: At
    which: Candidates
    for_: str = msgspec.field(name="for")
    text: Words


class Ended(Form):
    at: At
    ends: str
    state: Literal["completed", "failed", "canceled"]


Turn = Said | Told | Which | Ended
TURNS: dict[str, type[Turn]] = {"label": Said, "host": Told, "which": Which, "ends": Ended}


class Conversation(Form):
    """One file of the set."""

    about: Words
    channel: Literal["telegram", "whatsapp", "web", "terminal"]
    languages: Annotated[list[Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")]], msgspec.Meta(min_length=1)]
    tasks: dict[str, Task]
    turns: list[dict[str, Any]]

    def read(self) -> list[Turn]:
        """The turns, in the order of time."""
        return [msgspec.convert(turn, next(TURNS[key] for key in TURNS if key in turn)) for turn in self.turns]


def load(path: Path) -> Conversation:
    """A conversation from its file. Raises msgspec.ValidationError where it hasn't the form."""
    return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Conversation)


def paths() -> list[Path]:
    """All conversations' files, by name."""
    return sorted(FOLDER.glob("*.yaml"))
