"""What the two APIs have in common, as the service needs it."""

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec
from aiohttp import web

from agenthost.core.ids import digest
from agenthost.core.models import ModelRequest
from agenthost.core.parts import FilePart
from agenthost.models.playbook import FailKind, Play


class Trouble(NamedTuple):
    """An error as an API writes it: its status, its type, its words, its details."""

    status: int
    type: str
    message: str
    details: tuple[dict[str, Any], ...] = ()


class Dialect(Protocol):
    """One API."""

    name: str
    key_header: str
    troubles: ClassVar[Mapping[FailKind, Trouble]]

    def request(self, body: dict[str, Any], request: web.Request) -> ModelRequest:
        """Raises Malformed, also for what the real one refuses."""
        ...

    def streams(self, body: dict[str, Any], request: web.Request) -> bool: ...

    def error(self, trouble: Trouble, retry: float | None) -> dict[str, Any]: ...

    def whole(self, play: Play, model: str) -> dict[str, Any]: ...

    def stream(self, play: Play, model: str) -> Iterator[bytes]: ...

    def empty(self) -> dict[str, Any]:
        """An answer that holds nothing."""
        ...


def signature(*said: str) -> str:
    """What the servers sign thinking and calls with: it follows from what was said."""
    return "c2lnbmVk" + digest("\n".join(said).encode()).replace("sha256:", "")[:32]


def picture(data: str, media_type: str) -> FilePart | None:
    """A file in base64 (either alphabet) by the hash of its bytes; None where it isn't base64."""
    try:
        content = urlsafe_b64decode(data.replace("+", "-").replace("/", "_"))
    except Base64Error:
        return None
    return FilePart(digest(content), media_type, len(content))


def event(value: dict[str, Any], kind: str = "") -> bytes:
    """A server-sent event."""
    head = f"event: {kind}\n".encode() if kind else b""
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"
