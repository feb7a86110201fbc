"""How requests and answers look: eight bytes of length, a JSON head of that length, then all contents in a row."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from agenthost.core.errors import Permanent

T = TypeVar("T")

MOST_HEAD = 8 * 1024 * 1024


class SentFile(Struct, frozen=True):
    """A file on its way to the function; contents come in the order of the list."""

    path: str
    size: int
    sha256: str
    executable: bool


class Request(Struct, frozen=True):
    """The head of a request. `stdin` is its length; its bytes come before those of the files."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    limits: dict[str, float]
    stdin: int
    folders: tuple[str, ...]
    files: tuple[SentFile, ...]


class CameFile(Struct, frozen=True):
    """A file that a run leaves. The contents of changed ones come in the order of the list."""

    path: str
    size: int
    sha256: str
    changed: bool


class Answer(Struct, frozen=True):
    """The head of an answer. `stdout` and `stderr` are lengths; their bytes come before those of the files."""

    exit: int
    limit: str
    duration: float
    cut: int
    stdout: int
    stderr: int
    files: tuple[CameFile, ...]
    folders: tuple[str, ...]


class Hello(Struct, frozen=True):
    """What the function says of itself."""

    version: int
    python: str
    cpus: int


class Refused(Struct, frozen=True):
    """Why the function ran nothing."""

    error: str
    message: str


def write(head: Any, contents: list[bytes]) -> bytes:
    """A frame."""
    told = msgspec.json.encode(head)
    return b"".join((len(told).to_bytes(8, "big"), told, *contents))


def read(body: bytes, kind: type[T]) -> tuple[T, memoryview]:
    """The head, and what follows it. Raises Permanent (`bad-answer`) where it is none of that kind."""
    length = int.from_bytes(body[:8], "big")
    if len(body) < 8 or length > min(MOST_HEAD, len(body) - 8):
        raise bad("it is cut off, or no answer of an executor function")
    try:
        return msgspec.json.decode(body[8 : 8 + length], type=kind), memoryview(body)[8 + length :]
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad(str(error)) from error


def bad(why: str) -> Permanent:
    """The error for an answer that can't be used."""
    return Permanent(
        f"The function's answer can't be used: {why}. Nothing of it was kept. Deploy deploy/functions again, as it "
        "is in this version, or look at what answers at [sandbox.functions] url.",
        code="bad-answer",
    )
