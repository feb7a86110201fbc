"""What people, agents and tools say: messages made of parts.

In line with the parts of OpenAI's API and of A2A 1.0. Files are named by content hash; their
bytes live in the blob store.
"""

from typing import Any

from msgspec import Struct


class TextPart(Struct, frozen=True, tag="text"):
    """Words."""

    text: str


class FilePart(Struct, frozen=True, tag="file", omit_defaults=True):
    """A file of any media type, by content hash. `size` is in bytes."""

    digest: str
    media_type: str
    size: int
    name: str = ""


class DataPart(Struct, frozen=True, tag="data"):
    """A JSON value."""

    data: Any


Part = TextPart | FilePart | DataPart


class Message(Struct, frozen=True, omit_defaults=True):
    """What somebody said. `sender` says who: `person`, `agent:NAME`, `tool:NAME`, `host`, `task:ID`.

    It is kept with the words because words from a tool or a file are data, never instructions.
    """

    sender: str
    parts: tuple[Part, ...]
    id: str = ""


def text_message(sender: str, text: str, id: str = "") -> Message:
    """A message of one text part."""
    return Message(sender, (TextPart(text),), id)


def text_of(parts: tuple[Part, ...]) -> str:
    """The words among `parts`, a line between two parts."""
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))
