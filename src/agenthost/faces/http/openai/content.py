"""Pieces of a message's content become parts; files in them are kept by the host."""

import asyncio
import time
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.media import media_type
from agenthost.core.parts import FilePart, Part, TextPart
from agenthost.faces.http.openai.errors import Refused, wrong
from agenthost.host.shelf import Desk

FILE = "openai.file"
"""Of what kind the descriptions of files are that were given by this API."""

_NAMES = {
    "image/png": "picture.png",
    "image/jpeg": "picture.jpg",
    "image/gif": "picture.gif",
    "image/webp": "picture.webp",
    "application/pdf": "document.pdf",
    "audio/wav": "sound.wav",
    "audio/mpeg": "sound.mp3",
}


_NOT_ASCII = bytes(range(0x80, 0x100))
_LOOKED_AT = 1024 * 1024
"""Bytes of a file of the host that tell what it is."""


class Taking(Struct, frozen=True):
    """Whose request is read, and where the files are that it names."""

    api: HostApi
    caller: Caller
    shelf: Desk


class FileFacts(Struct, frozen=True):
    """What is kept of a file that was given by this API. `expires` in seconds since the epoch, 0 for never."""

    digest: str
    name: str
    size: int
    media_type: str
    purpose: str
    expires: float = 0.0


class Link(Struct):
    """The `image_url` of chat completions."""

    url: str = ""


class Attached(Struct):
    """The `file` of chat completions."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Sound(Struct):
    """The `input_audio` of chat completions."""

    data: str = ""
    format: str = ""


class Piece(Struct):
    """One piece of content, of either API."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Link | str | None = None
    file: Attached | None = None
    input_audio: Sound | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


Content = str | list[Piece] | None


async def parts_of(taking: Taking, content: Content, where: str) -> tuple[Part, ...]:
    """The parts of a content; `where` names it in errors. Raises Refused."""
    if not content:
        return ()
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple([await _part(taking, piece, f"{where}[{at}]") for at, piece in enumerate(content)])


def text_of(content: Content, where: str) -> str:
    """The words of a content that may hold nothing else. Raises Refused."""
    if isinstance(content, str) or not content:
        return content if isinstance(content, str) else ""
    for at, piece in enumerate(content):
        if piece.text is None and piece.refusal is None:
            raise wrong(f"{where}[{at}]", f"only text is taken here, not '{piece.type}'.")
    return "\n".join(piece.text or piece.refusal or "" for piece in content)


async def _part(taking: Taking, piece: Piece, where: str) -> Part:
    match piece.type:
        case "text" | "input_text" | "output_text" if piece.text is not None:
            return TextPart(piece.text)
        case "refusal" if piece.refusal is not None:
            return TextPart(piece.refusal)
        case "image_url" | "input_image":
            link = piece.image_url.url if isinstance(piece.image_url, Link) else piece.image_url
            return await _file(taking, link, piece.file_id, piece.filename, f"{where}.image_url")
        case "file" if piece.file is not None:
            return await _file(taking, piece.file.file_data, piece.file.file_id, piece.file.filename, f"{where}.file")
        case "input_file":
            if piece.file_url:
                raise _remote(f"{where}.file_url")
            return await _file(taking, piece.file_data, piece.file_id, piece.filename, where)
        case "input_audio" if piece.input_audio is not None:
            data = f"data:audio/{piece.input_audio.format};base64,{piece.input_audio.data}"
            return await _file(taking, data, None, f"sound.{piece.input_audio.format}", f"{where}.input_audio")
        case _:
            raise wrong(f"{where}.type", f"'{piece.type}' is no content that this host takes, or it is incomplete.")


async def _file(taking: Taking, data: str | None, id: str | None, name: str | None, where: str) -> FilePart:
    if id:
        return await _known(taking, id, name or "", where)
    if not data:
        raise wrong(where, "give a data URL in base64 (data:image/png;base64,...) or the id of a file of this host.")
    head, comma, encoded = data.partition(",")
    if not comma and not data.startswith(("http:", "https:", "data:")):
        head, encoded = "data:;base64", data
    if head.startswith(("http:", "https:")):
        raise _remote(where)
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise wrong(where, "it is no data URL in base64, such as data:image/png;base64,...")
    try:
        content = await asyncio.to_thread(b64decode, encoded, None, True)
    except (Base64Error, ValueError):
        raise wrong(where, "its data is not base64.") from None
    claimed = head.removeprefix("data:").removesuffix(";base64").partition(";")[0]
    try:
        return await taking.api.put_file(name or _NAMES.get(claimed, "file"), content)
    except BadInput as error:
        raise Refused(f"Invalid file: {error.message}", where, "invalid_file") from error


async def _known(taking: Taking, id: str, name: str, where: str) -> FilePart:
    """A file by the id that it was given under, or by its content hash."""
    try:
        if (facts := await facts_of(taking, id)) is not None:
            return FilePart(facts.digest, facts.media_type, facts.size, name or facts.name)
        digest = id if id.startswith("sha256:") else "sha256:" + id.removeprefix("file-")
        size = await taking.api.file_size(digest)
        content = await taking.api.read_file(digest, 0, min(size, _LOOKED_AT))
        if size > _LOOKED_AT:
            content = content.rstrip(_NOT_ASCII)  # a letter may be cut in two
    except NotFound as error:
        raise Refused(f"No such file: {error.message}", where, "file_not_found", 404) from error
    return FilePart(digest, media_type(name, content), size, name)


async def facts_of(taking: Taking, id: str) -> FileFacts | None:
    """What is kept of one of the caller's files; None where there is none, or not any more."""
    try:
        kept = await taking.shelf.get(taking.caller, FILE, id)
    except NotFound:
        return None
    facts = msgspec.json.decode(kept.body, type=FileFacts)
    return None if facts.expires and facts.expires <= time.time() else facts


def _remote(where: str) -> Refused:
    return wrong(
        where, "this host fetches nothing from elsewhere for a request; send the file as a data URL in base64."
    )


def json_text(value: Any) -> str:
    """A value as JSON."""
    return msgspec.json.encode(value).decode()
