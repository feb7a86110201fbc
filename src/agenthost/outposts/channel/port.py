"""The port of a channel, and what passes through it. Its conformance suite is `agenthost.testing.channels`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Button, Line, LineFilter
from agenthost.core.parts import FilePart
from agenthost.core.ports import Abilities

MB = 1024 * 1024


class Limits(Struct, frozen=True):
    """What one message of a channel can hold. `text` in `units`; `label` of a button in characters; `upload` and `download` in bytes.
    `pieces`: messages that one line may become before its text is sent as a file."""

    text: int
    units: Literal["utf-16", "characters"] = "characters"
    pieces: int = 5
    label: int = 64
    upload: int = 50 * MB
    download: int = 20 * MB


class Attached(Struct, frozen=True, omit_defaults=True):
    """A file that came with a message and wasn't fetched yet: `ref` is the channel's name for it, `size` in bytes (0: unknown)."""

    ref: str
    name: str
    media_type: str = ""
    size: int = 0
    voice: bool = False


class Heard(Struct, frozen=True, omit_defaults=True):
    """What came from a channel. `arrival` is unique to what came, also of edits and presses; `key` is the id by which the host counts it. `account` is who wrote, `names`
    what else they (and the place where they wrote) are known by. `addressed`: it was meant for us; false for parts of an
    album that nobody named us in. `album` joins what was sent as one. `press`: the id of a button's press. `greets`: it wants to know who is here. `forwarded`: its words are somebody
    else's, passed on."""

    arrival: str
    key: str
    conversation: str
    account: str
    names: tuple[str, ...] = ()
    text: str = ""
    attached: tuple[Attached, ...] = ()
    reply_to: str = ""
    quote: str = ""
    button: str = ""
    press: str = ""
    edits: str = ""
    deleted: bool = False
    album: str = ""
    addressed: bool = True
    greets: bool = False
    forwarded: bool = False


class Mark(Struct, frozen=True, omit_defaults=True):
    """How a stretch of text looks: `kind` in the channel's words; `start` and `length` in its units; `extra`: a link's address, a code's language."""

    kind: str
    start: int
    length: int
    extra: str = ""


class Piece(Struct, frozen=True, omit_defaults=True):
    """One message to be shown: text, or one file (`file` of the host, or `written` here under `name`), or `spoken` text."""

    text: str = ""
    marks: tuple[Mark, ...] = ()
    file: FilePart | None = None
    name: str = ""
    written: str = ""
    spoken: str = ""
    buttons: tuple[Button, ...] = ()
    reply_to: str = ""


class Content(Struct, frozen=True):
    """A file's bytes, on their way into a channel."""

    name: str
    media_type: str
    data: bytes
    voice: bool = False


class Notes(Protocol):
    """A few words that a channel keeps over restarts."""

    async def note(self, key: str) -> str:
        """What was noted, empty where nothing was."""
        ...

    async def put_note(self, key: str, value: str) -> None: ...


class Channel(Protocol):
    """One service through which people write. Sending and fetching raise Temporary (with `delay` where the service said so; `sent` where it may have been
    taken all the same) and Permanent. A place in it is named by its conversation, which begins with `name` and a colon."""

    @property
    def name(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    def shape(self, text: str) -> tuple[str, tuple[Mark, ...]]:
        """Markdown as the channel shows it: plain text, and marks in it. Pure; never fails."""
        ...

    def arrivals(self) -> AsyncIterator[Sequence[Heard]]:
        """What people write, for ever. What was given is confirmed to the service when the next is asked for, so that it comes again after a
        crash before that. Raises Unauthenticated or Permanent where it can't go on."""
        ...

    async def fetch(self, file: Attached) -> bytes: ...

    async def send(self, conversation: str, piece: Piece, content: Content | None = None) -> list[str]:
        """Show a message, `content` with it where it has a file; its ids."""
        ...

    async def noticed(self, heard: Heard, taken: bool) -> None:
        """A button's press was seen; where it is `taken`, its message needs its buttons no more. Never fails for what came too late."""
        ...

    async def fade(self, conversation: str, ids: Sequence[str]) -> None:
        """Take the buttons of messages away; those that are gone are left."""
        ...

    async def nod(self, heard: Heard) -> None:
        """Show that a message was heard to which nothing is said. Never fails."""
        ...

    async def working(self, conversation: str) -> None:
        """Show that somebody is at work, for a few seconds."""
        ...


class Post(Protocol):
    """What a courier needs of a host, for one person. `post.ClientPost` is one."""

    async def place(self, came: Incoming) -> Placed: ...

    def listen(self, wanted: LineFilter) -> AsyncIterator[Line]: ...

    async def sent(self, place: int, ids: Sequence[str]) -> None: ...

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart: ...

    async def get_file(self, digest: str) -> bytes: ...

    async def abilities(self, name: str) -> Abilities: ...


Posts = Mapping[str, Post]
"""By whose they are: the empty name is everybody's who has none of their own."""
