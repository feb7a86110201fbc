"""What a server was asked and what it answered, in a folder that outlives it.

`0001.json`, `0002.json`, ...: the bodies of requests, byte for byte as they came, in the order they came.
`answered.jsonl`: a line for each answer, written before its last byte is sent; see Answered.
"""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from agenthost.core.models import Usage

ANSWERED = "answered.jsonl"


class Answered(Struct, frozen=True):
    """An answer that was given to its last byte, or begun in the background, where it is made whoever waits. `request` is the number of the body's file, `key` the
    idempotency key, `wire` `chat`, `responses` or `background`."""

    request: int
    key: str
    wire: str
    model: str
    usage: Usage
    agent: str = ""


class Record:
    """Writes into `folder`, which must be this server's alone; without one nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._count = 0
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._count = len(bodies(folder))
        self._answered = os.open(folder / ANSWERED, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def asked(self, body: bytes) -> int:
        """Keep a request's body; its number, 0 where it isn't kept."""
        if self._folder is None:
            return 0
        self._count += 1
        (self._folder / f"{self._count:04}.json").write_bytes(body)
        return self._count

    def answered(self, answered: Answered) -> None:
        """Note an answer, in one write."""
        if self._folder is not None:
            os.write(self._answered, msgspec.json.encode(answered) + b"\n")

    def close(self) -> None:
        if self._folder is not None:
            os.close(self._answered)


def bodies(folder: Path) -> list[bytes]:
    """The bodies of the requests so far, the oldest first."""
    files = sorted(folder.glob("[0-9]*.json"), key=lambda file: int(file.stem))
    return [file.read_bytes() for file in files]


def answers(folder: Path) -> list[Answered]:
    """The answers given so far, the oldest first."""
    file = folder / ANSWERED
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Answered) for line in lines]
