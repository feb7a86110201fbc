"""What a remote agent produced: words for the exchange, files for the workspace."""

import json
from collections.abc import Awaitable, Callable, Iterable

from a2a.types.a2a_pb2 import Artifact, Part
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value
from msgspec import Struct

from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.parts import Part as OurPart
from agenthost.models.a2a.wire import Wire

Read = Callable[[str], Awaitable[bytes]]
Keep = Callable[[bytes], Awaitable[str]]


class Produced(Struct):
    """The words, and files by the path they are to have, each its content's digest."""

    texts: list[str]
    files: dict[str, str]

    @property
    def text(self) -> str:
        """All words, a line between two pieces."""
        return "\n".join(text for text in self.texts if text)


async def read_artifacts(artifacts: Iterable[Artifact], wire: Wire, keep: Keep) -> Produced:
    """What artifacts hold. Files are kept; what is elsewhere, or can't be had, is named in the words."""
    found = Produced([], {})
    for artifact in artifacts:
        for part in artifact.parts:
            await _read(part, artifact, found, wire, keep)
    return found


async def read_parts(parts: Iterable[Part], wire: Wire, keep: Keep) -> Produced:
    """The same for the parts of a message."""
    return await read_artifacts([Artifact(artifact_id="message", parts=parts)], wire, keep)


async def _read(part: Part, artifact: Artifact, found: Produced, wire: Wire, keep: Keep) -> None:
    kind = part.WhichOneof("content")
    if kind == "text":
        found.texts.append(part.text)
    elif kind == "data":
        found.texts.append(json.dumps(MessageToDict(part.data), default=str, ensure_ascii=False))
    elif kind == "raw":
        found.files[_path(part, artifact, found)] = await keep(part.raw)
    elif kind == "url":
        content = await wire.fetch(part.url)
        if content is None:
            found.texts.append(f"[a file that was not fetched: {part.filename or 'file'}, {part.url}]")
        else:
            found.files[_path(part, artifact, found)] = await keep(content)


def _path(part: Part, artifact: Artifact, found: Produced) -> str:
    """Where a file goes: the artifact's name where that is the path of this file, else its own name."""
    file = part.filename or artifact.name or artifact.artifact_id
    named = artifact.name if artifact.name.rpartition("/")[2] == file else file
    steps = [step for step in named.replace("\\", "/").split("/") if step not in ("", ".", "..")]
    path = "/".join(steps) or "file"
    stem, dot, ending = path.rpartition(".")
    at = 2
    while path in found.files:
        path = f"{stem}-{at}.{ending}" if dot and stem else f"{dot}{ending}-{at}"
        at += 1
    return path


async def written(part: OurPart, read: Read) -> Part:
    """A part of ours for the remote agent."""
    if isinstance(part, TextPart):
        return Part(text=part.text)
    if isinstance(part, DataPart):
        return Part(data=ParseDict(part.data, Value()), media_type="application/json")
    assert isinstance(part, FilePart)
    return Part(raw=await read(part.digest), filename=part.name, media_type=part.media_type)
