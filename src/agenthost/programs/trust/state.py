"""What a task remembers of where its values come from."""

import msgspec
from msgspec import Struct

from agenthost.core.models import Turn
from agenthost.core.parts import DataPart, FilePart, Message, Part, TextPart
from agenthost.programs.trust.words import MOST, own

MOST_SOURCES = 32
"""Sources that are remembered by name; of more it is enough to know that there are some."""

STRANGERS = ("agent:", "tool:")
"""Senders whose words are nobody's order."""


class Provenance(Struct):
    """`said`: a person's words, and what stands for them in a task that was given by another. `sources`: what was read
    that a stranger can have written, and `since` the number of the turn with the first of it. `links`: how many links
    to hosts that nobody named were followed. `meant` are the tools that the first `understood` of `said` ask for, as a
    model read them that saw nothing else, and `uses` the values for each; `readings` is how often one did. `kept`: whether account is kept of it, as it
    is of every task that began since there is such a rule."""

    kept: bool = False
    said: list[str] = msgspec.field(default_factory=list[str])
    sources: list[str] = msgspec.field(default_factory=list[str])
    since: int = 0
    links: int = 0
    meant: tuple[str, ...] = ()
    uses: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    understood: int = 0
    readings: int = 0

    def read(self, source: str, turn: int) -> None:
        """Something was read that a stranger can have written."""
        if not self.kept:
            return
        if not self.sources:
            self.since = turn
        if source not in self.sources and len(self.sources) < MOST_SOURCES:
            self.sources.append(source)

    def heard(self, message: Message, turn: int, passed: bool = False) -> str:
        """A message came; where a stranger can have written a part of it, from where that is. `passed`: what it is told
        of where its work comes from stands beside it."""
        if not self.kept:
            return ""
        if passed and message.sender.startswith("task:"):
            return f"the order of {message.sender}"
        if message.sender.startswith(STRANGERS):
            self.read(found := f"a message of {message.sender}", turn)
            return found
        found = ""
        for part in message.parts:
            if isinstance(part, TextPart):
                said, quoted = own(part.text)
                self.say(said)
                found = "what the message quotes" if quoted else ""
            else:
                found = origin_of(part)
            if found:
                self.read(found, turn)
        return found

    def recalled(self, turn: Turn, number: int) -> Turn:
        """A turn of before the task that isn't a person's: nobody knows any more what it went by."""
        if not self.kept or (turn.role == "assistant" and not turn.text):
            return turn
        origin = f"an earlier result of {turn.name}" if turn.role == "tool" else "an earlier answer"
        self.read(origin, number)
        return msgspec.structs.replace(turn, origin=origin)

    def say(self, text: str) -> None:
        """A person, or the manifest in their place, said something."""
        if not text or text in self.said:
            return
        self.said.append(text[:MOST])
        while sum(map(len, self.said)) > MOST:
            del self.said[0]


def origin_of(part: Part) -> str:
    """Where a part that came with a message is from."""
    if isinstance(part, FilePart):
        what = "the picture" if part.media_type.startswith("image/") else "the file"
        return f"{what} {_name(part.name)}".strip()
    return "data that came with the message" if isinstance(part, DataPart) else ""


def _name(name: str) -> str:
    plain = "".join(sign if sign.isprintable() else "\ufffd" for sign in name)
    return f"'{plain[:80]}'" if plain else ""
