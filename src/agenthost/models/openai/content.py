"""What people, agents and tools said, made ready for a wire: files read, words and pictures in order."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from agenthost.core.errors import Permanent
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart, Part, TextPart

Read = Callable[[str], Awaitable[bytes]]

IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # what OpenAI's API takes
_TEXTUAL = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/x-sh",
        "application/sql",
        "image/svg+xml",
    }
)


class Words(NamedTuple):
    """Text."""

    text: str


class Picture(NamedTuple):
    """An image as a data URL (RFC 2397), byte for byte what the file is."""

    url: str


Piece = Words | Picture


class Said(NamedTuple):
    """A turn and its pieces."""

    turn: Turn
    pieces: list[Piece]

    @property
    def text(self) -> str:
        """The words alone."""
        return "\n".join([piece.text for piece in self.pieces if isinstance(piece, Words)])

    @property
    def pictures(self) -> list[Picture]:
        return [piece for piece in self.pieces if isinstance(piece, Picture)]

    @property
    def result(self) -> str:
        """The words of a tool's result. The wires have no mark for a failed call, so the words say it."""
        text = self.text or ("(see the picture)" if self.pictures else "(no output)")
        if self.turn.error and text[:5].lower() != "error":
            return f"Error: {text}"
        return text


async def said(turns: tuple[Turn, ...], read: Read) -> list[Said]:
    """Every turn with its pieces. Raises Permanent (`bad-request`) for a file that no model reads."""
    return [Said(turn, [await _piece(part, read) for part in turn.parts]) for turn in turns]


async def _piece(part: Part, read: Read) -> Piece:
    if isinstance(part, TextPart):
        return Words(part.text)
    if isinstance(part, FilePart):
        return await _file(part, read)
    return Words(msgspec.json.encode(part.data).decode())


async def _file(part: FilePart, read: Read) -> Piece:
    kind = part.media_type.partition(";")[0].strip().lower()
    if kind in IMAGES:
        return Picture(f"data:{kind};base64,{b64encode(await read(part.digest)).decode()}")
    name = part.name or "a file"
    if kind.startswith("text/") or kind in _TEXTUAL or kind.endswith(("+json", "+xml")):
        try:
            text = (await read(part.digest)).decode()
        except UnicodeDecodeError:
            raise Permanent(
                f"{name} is said to be {kind} but is not UTF-8 text. Give it as UTF-8.", code="bad-request"
            ) from None
        return Words(f"File {name} ({kind}):\n{text}")
    raise Permanent(
        f"{name} is of type {kind or 'unknown'}, which this model can't be given. "
        "Give a PNG, JPEG, GIF or WebP picture, or text.",
        code="bad-request",
        media_type=kind,
    )
