"""The file that a back-up is: a tar in gzip, with what it is at its beginning and the hash of each part at its end.

| member | what |
| --- | --- |
| `backup.json` | a `Head` |
| `agenthost.db` | the database, one file |
| `home/PATH` | settings, manifests, secrets, and whatever else the home keeps |
| `blobs/ab/cdef...` | files by content hash |
| `parts.json` | `Parts`: size and hash of every other member. It comes last, so that an archive that was cut has none |
"""

import gzip
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput, NewerVersion, StoreDamaged
from agenthost.stores.backups.home import DATABASE
from agenthost.stores.durable import disk_errors

FORMAT = 1
HEAD, PARTS = "backup.json", "parts.json"
CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_LEVEL = 4
_MOST_WORDS = 256 << 20
"""Bytes that a member of words, which is read into memory, has at most."""

_NAME = re.compile(rf"{re.escape(DATABASE)}|home/[^\0]+|blobs/[0-9a-f]{{2}}/[0-9a-f]{{62}}")

S = TypeVar("S", bound=Struct)
Say = Callable[[str, int, int], None]
"""Hears what is done, how much of it and of how much; it may raise to have everything end there."""


class Head(Struct, frozen=True, omit_defaults=True):
    """What a back-up is. `made` in seconds since the epoch; `version` and `home` are the host's; `database` is its
    format. `bytes` counts what is in it, unpacked, in `files` files. `secrets`: whether it holds what decrypts the
    secrets. `left_out`, for people: what it doesn't hold."""

    made: float
    version: str
    home: str
    database: int
    tasks: int
    unfinished: int
    files: int
    bytes: int
    secrets: bool
    left_out: tuple[str, ...] = ()
    format: int = FORMAT


class Part(Struct, frozen=True, array_like=True):
    """A member: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


class Parts(Struct, frozen=True):
    """Every member but the last. `missing`: files that the database names and the home didn't have, or not whole."""

    parts: dict[str, Part]
    missing: tuple[str, ...] = ()


class Writer:
    """Adds members to an archive, and keeps count of them."""

    def __init__(self, tar: tarfile.TarFile, made: float) -> None:
        self._tar = tar
        self._made = int(made)
        self.parts: dict[str, Part] = {}

    def words(self, name: str, content: bytes) -> None:
        """Add what is in memory."""
        self._add(name, io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())

    def file(self, name: str, file: IO[bytes], part: Part) -> None:
        """Add a file whose size and hash are known."""
        self._add(name, file, part.size, part.sha256)

    def end(self, missing: tuple[str, ...]) -> None:
        """Add the list of what was added."""
        parts = Parts(self.parts, missing)
        self._add(PARTS, io.BytesIO(body := msgspec.json.encode(parts)), len(body), "")

    def _add(self, name: str, file: IO[bytes], size: int, sha256: str) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, self._made
        self._tar.addfile(info, file)
        self.parts[name] = Part(size, sha256)


@contextmanager
def writing(path: Path, made: float) -> Generator[Writer]:
    """A new archive at `path`, mode 0600, on disk when this ends. Where it fails, nothing is left there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with (
                gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as tar,
            ):
                yield Writer(tar, made)
            raw.flush()
            os.fsync(raw.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def part_of(file: IO[bytes]) -> Part:
    """Size and hash of a file, which is at its beginning again afterwards."""
    part = _counted(file, lambda piece: None)
    file.seek(0)
    return part


def head(path: Path) -> Head:
    """What a back-up is, by its beginning alone. Raises BadInput where it is none."""
    with _reading(path) as tar:
        return _head(path, tar, tar.next())[0]


def read(path: Path, say: Say, take: Callable[[str], Path | None] = lambda name: None) -> tuple[Head, Parts]:
    """Read a back-up to its end and compare every part with its hash. `take` gives the new file into which a
    member is written, or None. Raises BadInput (it is none), StoreDamaged, NewerVersion."""
    with _reading(path) as tar:
        found, first = _head(path, tar, tar.next())
        seen: dict[str, Part] = {HEAD: first}
        done = 0
        for info in _members(tar):
            if info.name == PARTS:
                return found, _compared(path, _words(path, PARTS, _body(path, tar, info), Parts), seen)
            if not info.isreg() or not _NAME.fullmatch(info.name) or ".." in info.name.split("/") or info.name in seen:
                raise _damaged(path, f"it has a member '{info.name[:100]}', which no back-up has")
            done += info.size
            if done > found.bytes:
                raise _damaged(path, "it holds more than it says at its beginning")
            seen[info.name] = _unpack(tar, info, take(info.name))
            say("reading", done, found.bytes)
        raise _damaged(path, "its end is missing")


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (info := tar.next()) is not None:
        # Else tarfile keeps a record of every member.
        tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
        yield info


@contextmanager
def _reading(path: Path) -> Generator[tarfile.TarFile]:
    try:
        with path.open("rb") as raw:
            if raw.read(2) != _GZIP:
                raise _none(path)
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as packed, tarfile.open(fileobj=packed, mode="r|", bufsize=CHUNK) as tar:
                yield tar
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}; `agenthost backup list` shows the back-ups that are known") from error
    except OSError as error:
        # gzip's own errors are OSErrors without a number.
        if error.errno is None:
            raise _damaged(path, str(error)) from error
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error


def _head(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo | None) -> tuple[Head, Part]:
    if info is None or info.name != HEAD:
        raise _none(path)
    body = _body(path, tar, info)
    found = _words(path, info.name, body, Head)
    if found.format > FORMAT:
        raise NewerVersion(f"{path} was made by a newer AgentHost ({found.version}); upgrade this one to read it")
    return found, Part(len(body), hashlib.sha256(body).hexdigest())


def _body(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    member = tar.extractfile(info) if info.isreg() and info.size <= _MOST_WORDS else None
    if member is None:
        raise _damaged(path, f"'{info.name}' is no file of words")
    return member.read()


def _words(path: Path, name: str, body: bytes, type: type[S]) -> S:
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.DecodeError as error:
        raise _damaged(path, f"'{name}' can't be read: {error}") from error


def _unpack(tar: tarfile.TarFile, info: tarfile.TarInfo, into: Path | None) -> Part:
    member = tar.extractfile(info)
    assert member is not None
    if into is None:
        return _counted(member, lambda piece: None)
    with disk_errors(into.parent):
        into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(into, flags, 0o600), "wb") as file:
            return _counted(member, file.write)


def _counted(member: IO[bytes], take: Callable[[bytes], object]) -> Part:
    hashed, size = hashlib.sha256(), 0
    while piece := member.read(CHUNK):
        hashed.update(piece)
        size += len(piece)
        take(piece)
    return Part(size, hashed.hexdigest())


def _compared(path: Path, said: Parts, seen: dict[str, Part]) -> Parts:
    for name in sorted(said.parts.keys() | seen.keys()):
        if said.parts.get(name) != seen.get(name):
            raise _damaged(path, f"'{name}' is not what was put into it")
    for name, part in seen.items():
        if name.startswith("blobs/") and name.replace("/", "") != f"blobs{part.sha256}":
            raise _damaged(path, f"'{name}' has another content than its name says")
    return said


def _none(path: Path) -> BadInput:
    return BadInput(f"{path} is no back-up of AgentHost's; `agenthost backup list` shows those that are known")


def _damaged(path: Path, what: str) -> StoreDamaged:
    return StoreDamaged(f"the back-up {path} is damaged ({what}); use another one: `agenthost backup list`")
