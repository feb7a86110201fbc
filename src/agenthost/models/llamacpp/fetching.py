"""Fetches one file of a model: checked, resumed where it was cut, and in its place only when all is there.

While it comes it is `.NAME.gguf.part`, with what is known of it in `.NAME.gguf.part.json`. A part is gone on with only
where the server says that the file is still the same (RFC 9110, 13.1.5: If-Range).
"""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from agenthost.core.errors import AgentHostError, BadInput, NotFound, Permanent, Temporary
from agenthost.core.ids import digest
from agenthost.models.llamacpp.gguf import MAGIC, in_words, is_cut, read_header
from agenthost.models.openai.connection import Sessions

_CHUNK = 1024 * 1024
_KEPT_FREE = 256 * 1024**2  # bytes of the disk that a model leaves to others
_TRIES = 5  # in a row that bring nothing new
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=15.0, sock_read=60.0)
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>)]*")


class Progress(Struct, frozen=True):
    """How far one file is. `doing`: `fetching` or `checking`; sizes in bytes, `total` 0 where the server doesn't say.
    `part` of `parts`, where the model is split."""

    doing: str
    done: int
    total: int
    part: int = 1
    parts: int = 1


class _State(Struct):
    """What is known of a part: the digest of its address, which may hold a secret, and by what the server knows that file."""

    url: str
    validator: str = ""


Tell = Callable[[Progress], None]


class Fetch:
    """One fetch: holds the part's file, and a lock on it, from `open` to `close`. `wanted`: the hash, or empty."""

    def __init__(self, url: URL, target: Path, tell: Tell, wanted: str, number: tuple[int, int]) -> None:
        self.target = target
        self.found = ""
        self.size = 0
        self.resumed = 0
        self._url = url
        self._tell = tell
        self._wanted = wanted
        self._number = number
        self._file: BinaryIO | None = None
        self._state = _State(digest(str(url).encode()))
        self._shown = shown(str(url))  # the rest may hold a secret
        self._total = 0

    def open(self) -> None:
        """Take hold of the part. One that was in its place before all parts were is fetched on, too."""
        if self.target.exists() and aside(self.target):
            os.replace(self.target, _part(self.target))
        self._file = lock(self.target)

    async def run(self, sessions: Sessions) -> None:
        """Fetch and check it. Raises as `pull.pull` does."""
        file = self._opened
        before = self.resumed = await asyncio.to_thread(self._begin, file)
        tries = 0
        while True:
            try:
                await self._fetch(sessions, file)
                break
            except (Temporary, aiohttp.ClientError, OSError) as error:
                if isinstance(error, OSError) and not isinstance(
                    error, aiohttp.ClientError | TimeoutError | ConnectionError
                ):
                    raise BadInput(f"{self.target.parent} can't be written: {error.strerror}") from None
                now = _length(file)
                tries = 1 if now > before else tries + 1
                before = max(before, now)  # one that begins anew each time makes no way
                if tries >= _TRIES:
                    raise self._gave_up(error, now) from None
                delay = error.delay if isinstance(error, Temporary) and error.delay is not None else (tries - 1) / 2
                await asyncio.sleep(min(delay, 30.0))
        self.found = await asyncio.to_thread(self._check, file)

    def place(self) -> None:
        """Put it into its place; what is known of it stays until all parts are in theirs."""
        file = self._opened
        self.size = _length(file)
        os.fsync(file.fileno())
        os.replace(_part(self.target), self.target)

    def forget(self) -> None:
        """The model is whole: what was known of the part isn't needed any more."""
        _state(self.target).unlink(missing_ok=True)

    @property
    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError("open comes first")
        return self._file

    def close(self) -> None:
        """Let go of the part; it stays for the next time."""
        if self._file is not None:
            let_go(self._file)

    def _begin(self, file: BinaryIO) -> int:
        """The bytes that a fetch before has brought of this very address."""
        try:
            state = msgspec.json.decode(_state(self.target).read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            state = _State("")
        if state.url == self._state.url and state.validator:
            self._state = state
        else:
            file.truncate(0)
        return _length(file)

    async def _fetch(self, sessions: Sessions, file: BinaryIO) -> None:
        """Bring what is missing. Raises Temporary or a client's error where it is cut."""
        if not self._state.validator:
            await asyncio.to_thread(file.truncate, 0)
        have = _length(file)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._state.validator}
        session = await sessions.session(self._url)
        async with session.get(self._url, headers=headers, timeout=_TIMEOUT) as response:
            self._refuse(response)
            if response.status == 416 and have:  # there is nothing after what we have, or another file
                if response.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
                    self._total = have
                    return
                await asyncio.to_thread(file.truncate, 0)
                raise Temporary("the file at the server has changed", delay=0.0)
            start = await asyncio.to_thread(self._accept, file, response, have)
            self._total = start + (response.content_length or 0)
            await asyncio.to_thread(self._room, start)
            async for chunk in response.content.iter_chunked(_CHUNK):
                await asyncio.to_thread(self._write, file, chunk)
                self._told("fetching", _length(file), self._total if response.content_length else 0)
            whole = _length(file) >= self._total
            if response.content_length is None:  # then nobody but the file itself knows
                whole = not await asyncio.to_thread(is_cut, _part(self.target))
            if not whole:
                raise Temporary("the connection was cut", delay=0.0)

    def _accept(self, file: BinaryIO, response: aiohttp.ClientResponse, have: int) -> int:
        """Where the bytes that come belong; what the server calls the file is noted for the next time."""
        start = have
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            if response.status == 206:
                raise Permanent(f"{self._url.host} sent another part than was asked for", code="bad-answer")
            start = self.resumed = 0
            file.truncate(0)
        file.seek(start)
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        self._state.validator = strong
        _state(self.target).write_bytes(msgspec.json.encode(self._state))
        return start

    def _write(self, file: BinaryIO, chunk: bytes) -> None:
        if file.tell() == 0 and not chunk.startswith(MAGIC[: len(chunk)]):
            kind = "an HTML page" if chunk.lstrip()[:1] == b"<" else "something else"
            self._discard(file)
            raise Permanent(
                f"{self._shown} is no GGUF but {kind}; give the address of the file itself", code="not-a-model"
            )
        file.write(chunk)
        file.flush()

    def _refuse(self, response: aiohttp.ClientResponse) -> None:
        status, host = response.status, self._url.host
        if self._url.scheme == "https" and response.url.scheme != "https":
            raise Permanent(f"{host} sends the way on to {response.url.host} without encryption", code="bad-request")
        if status in (200, 206, 416):
            return
        if status in (404, 410):
            raise NotFound(f"there is nothing at {self._shown} ({status}); check the address")
        if status in (401, 403):
            raise Permanent(
                f"{host} doesn't give out {self._url.name} to everybody ({status}); fetch it with your account there and put "
                f"it into {self.target.parent}",
                code="auth",
            )
        if status in _LATER:
            after = response.headers.get("Retry-After", "")
            raise Temporary(f"{host} answered {status}", delay=float(after) if after.isdigit() else None)
        raise Permanent(f"{host} answered {status}; check the address", code="bad-request")

    def _told(self, doing: str, done: int, total: int) -> None:
        self._tell(Progress(doing, done, total, *self._number))

    def _room(self, start: int) -> None:
        part, parts = self._number
        # The parts of a model are about of a size, except for the last.
        missing = self._total - start + self._total * max(0, parts - part - 1)
        free = shutil.disk_usage(self.target.parent).free
        if missing + _KEPT_FREE > free:
            raise BadInput(
                f"{in_words(missing)} of {self.target.stem} are missing and {self.target.parent} has {in_words(free)} free; make "
                "room, or set [models.llamacpp] folder to another disk"
            )

    def _check(self, file: BinaryIO) -> str:
        """The hash; what isn't what was wanted, or is no model, is removed."""
        total = _length(file)
        hashed = hashlib.sha256()
        file.seek(0)
        done = 0
        while chunk := file.read(8 * _CHUNK):
            hashed.update(chunk)
            done += len(chunk)
            self._told("checking", done, total)
        found = hashed.hexdigest()
        if self._wanted and found != self._wanted:
            self._discard(file)
            raise Permanent(
                f"what came from {self._shown} has the SHA-256 {found}, and {self._wanted} was wanted; it was thrown away",
                code="hash-mismatch",
            )
        try:
            read_header(_part(self.target), parts=False)
        except BadInput as error:
            self._discard(file)
            raise Permanent(
                f"what came from {self._shown} was thrown away: {error.message}", code="not-a-model"
            ) from None
        return found

    def _discard(self, file: BinaryIO) -> None:
        file.truncate(0)
        for path in (_part(self.target), _state(self.target)):
            path.unlink(missing_ok=True)

    def _gave_up(self, error: BaseException, have: int) -> AgentHostError:
        of = f" of {in_words(self._total)}" if self._total else ""
        anew = (
            "goes on from there" if self._state.validator else "begins anew, since the server can't go on with a file"
        )
        return Temporary(
            f"{self._url.host} can't be fetched from: {_why(error)}. {in_words(have)}{of} are here; the same command {anew}",
            code="unreachable",
        )


def _why(error: BaseException) -> str:
    """What went wrong, in words that hold no secret: aiohttp's own often name the whole address."""
    match error:
        case AgentHostError():
            said = error.message
        case aiohttp.ConnectionTimeoutError():
            said = "connecting took too long"
        case TimeoutError():
            said = "it sent nothing for a minute"
        case aiohttp.TooManyRedirects():
            said = "it sends from one address to another, without an end"
        case aiohttp.InvalidURL():
            said = "it sends the way on to what is no address"
        case aiohttp.ClientConnectorCertificateError():
            said = "its certificate is not trusted here (where it is your own, name its CA in SSL_CERT_FILE)"
        case aiohttp.ClientConnectorDNSError():
            said = "its name is not known here (DNS)"
        case aiohttp.ClientConnectorError():
            said = (error.os_error.strerror or type(error.os_error).__name__).lower()
        case aiohttp.ClientResponseError():
            said = f"{error.status} {error.message}".strip()
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            said = "the connection was cut"
        case _:
            said = str(error) or type(error).__name__
    return shown(said)


def aside(target: Path) -> bool:
    """Whether there is something known of a fetch of this file that hasn't come to its end."""
    return _state(target).is_file()


def shown(text: str) -> str:
    """A text with the addresses in it told without what may be secret: user, password and query."""

    def bare(found: re.Match[str]) -> str:
        try:
            return str(URL(found[0]).with_user(None).with_query(None).with_fragment(None))
        except ValueError:
            return "an address"

    return _ADDRESS.sub(bare, text)


def lock(target: Path) -> BinaryIO:
    """The part's file, for us alone. Raises BadInput where it can't be had."""
    try:
        file = open(_part(target), "a+b")  # noqa: SIM115 - its owner closes it
    except OSError as error:
        raise BadInput(f"{target.parent} can't be written: {error.strerror}") from None
    if not _locked(file, target):
        file.close()
        raise BadInput(
            f"another process is fetching {target.stem}; wait for it, or take another name with --name"
        ) from None
    return file


def let_go(file: BinaryIO) -> None:
    """Let others have the part."""
    with suppress(OSError):  # a full disk, of which was told before
        file.close()


def _locked(file: BinaryIO, target: Path) -> bool:
    """Lock the part; whether it is ours. Another process may just have made a whole model of it, or removed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), _part(target).stat())
    except OSError:
        return False


def _length(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _state(target: Path) -> Path:
    return target.with_name(f".{target.name}.part.json")
