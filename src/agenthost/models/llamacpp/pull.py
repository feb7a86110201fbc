"""Fetches a GGUF by URL: checked, resumed where it was cut, and there only when it is whole.

While it comes it is `.NAME.gguf.part`, with what is known of it in `.NAME.gguf.part.json`. A part is gone on with only
where the server says that the file is still the same (RFC 9110, 13.1.5: If-Range).
"""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from agenthost.core.errors import AgentHostError, BadInput, NotFound, Permanent, Temporary
from agenthost.core.ids import digest
from agenthost.models.llamacpp.gguf import MAGIC, in_words, read_header
from agenthost.models.openai.connection import Sessions

_CHUNK = 1024 * 1024
_KEPT_FREE = 256 * 1024**2  # bytes of the disk that a model leaves to others
_TRIES = 5  # in a row that bring nothing new
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=15.0, sock_read=60.0)
_HUB = "https://huggingface.co"
_NAME = re.compile(r"[\w][\w.+-]{0,199}")
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


class Progress(Struct, frozen=True):
    """How far it is. `doing`: `fetching` or `checking`; sizes in bytes, `total` 0 where the server doesn't say."""

    doing: str
    done: int
    total: int


class Pulled(Struct, frozen=True):
    """What is there now. `resumed`: bytes that had come before."""

    name: str
    path: str
    size: int
    sha256: str
    resumed: int = 0


class _State(Struct):
    """What is known of a part: the digest of its address, which may hold a secret, and by what the server knows that file."""

    url: str
    validator: str = ""


Tell = Callable[[Progress], None]


def source_of(text: str) -> URL:
    """The address that is meant: a URL, or `hf:OWNER/REPO/FILE.gguf` of the hub. Raises BadInput."""
    if text.startswith("hf:"):
        owner, _, rest = text[3:].partition("/")
        repo, _, file = rest.partition("/")
        if not (owner and repo and file):
            raise BadInput(f"'{text}' names no file; write hf:OWNER/REPO/FILE.gguf")
        return URL(_HUB) / owner / repo / "resolve" / "main" / file
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(f"'{text}' is no address; give one such as https://example.org/model.gguf")
    return url


def name_of(url: URL, name: str) -> str:
    """The model's name here: what is wanted, or the file's own. Raises BadInput."""
    chosen = (name or url.name).removesuffix(".gguf")
    if not _NAME.fullmatch(chosen):
        raise BadInput(f"a model can't be called '{chosen}'; give letters, digits, dots and dashes with --name")
    return chosen


async def pull(
    source: str, folder: Path, tell: Tell, environ: Mapping[str, str], sha256: str = "", name: str = ""
) -> Pulled:
    """Fetch `source` into `folder`. Cancelled or cut, the next call goes on from there. Raises BadInput, NotFound, Permanent
    (`hash-mismatch`, `auth`, `not-a-model`), Temporary."""
    url = source_of(source)
    wanted = sha256.lower().removeprefix("sha256:")
    if wanted and not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise BadInput(f"'{sha256}' is no SHA-256: that has 64 digits of 0 to 9 and a to f")
    name = name_of(url, name)
    pulling = _Pulling(url, folder / f"{name}.gguf", tell)
    await asyncio.to_thread(_free_name, pulling.target, name)
    sessions = Sessions(environ)
    try:
        return await pulling.run(sessions, wanted, name)
    finally:
        await sessions.close()
        pulling.close()


def remove(folder: Path, name: str) -> int:
    """Remove a model, and what was fetched of it; the bytes that are free now. Raises NotFound, BadInput."""
    chosen = name.removeprefix("llamacpp:").removesuffix(".gguf")
    if not _NAME.fullmatch(chosen):
        raise BadInput(f"'{name}' is no name of a model in {folder}")
    target = folder / f"{chosen}.gguf"
    found = [path for path in (target, _part(target), _state(target)) if path.is_file()]
    if not found:
        raise NotFound(f"there is no model '{chosen}' in {folder}; `agenthost model list` shows those that there are")
    if _part(target) in found:
        _open(target).close()  # nobody fetches it just now
    size = sum(path.stat().st_size for path in found)
    for path in found:
        path.unlink()
    return size


class _Pulling:
    """One fetch: holds the part's file, and a lock on it, until it is closed."""

    def __init__(self, url: URL, target: Path, tell: Tell) -> None:
        self.target = target
        self._url = url
        self._tell = tell
        self._file: BinaryIO | None = None
        self._state = _State(digest(str(url).encode()))
        self._shown = str(url.with_user(None).with_query(None))  # the rest may hold a secret
        self._total = 0
        self._resumed = 0

    async def run(self, sessions: Sessions, wanted: str, name: str) -> Pulled:
        file = self._file = await asyncio.to_thread(_open, self.target)
        before = self._resumed = await asyncio.to_thread(self._begin, file)
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
                before = now
                if tries >= _TRIES:
                    raise self._gave_up(error, now) from None
                delay = error.delay if isinstance(error, Temporary) and error.delay is not None else (tries - 1) / 2
                await asyncio.sleep(min(delay, 30.0))
        found = await asyncio.to_thread(self._check, file, wanted)
        size = await asyncio.to_thread(self._finish, file)
        return Pulled(name, str(self.target), size, found, self._resumed)

    def close(self) -> None:
        """Let go of the part; it stays for the next time."""
        if self._file is not None:
            with suppress(OSError):  # a full disk, of which was told before
                self._file.close()

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
                self._tell(Progress("fetching", _length(file), self._total if response.content_length else 0))
            if response.content_length is not None and _length(file) < self._total:
                raise Temporary("the connection was cut", delay=0.0)

    def _accept(self, file: BinaryIO, response: aiohttp.ClientResponse, have: int) -> int:
        """Where the bytes that come belong; what the server calls the file is noted for the next time."""
        start = have
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            if response.status == 206:
                raise Permanent(f"{self._url.host} sent another part than was asked for", code="bad-answer")
            start = self._resumed = 0
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

    def _room(self, start: int) -> None:
        missing = self._total - start
        free = shutil.disk_usage(self.target.parent).free
        if missing + _KEPT_FREE > free:
            raise BadInput(
                f"{in_words(missing)} of {self.target.stem} are missing and {self.target.parent} has {in_words(free)} free; make "
                "room, or set [models.llamacpp] folder to another disk"
            )

    def _check(self, file: BinaryIO, wanted: str) -> str:
        """The hash; what isn't what was wanted, or is no model, is removed."""
        total = _length(file)
        hashed = hashlib.sha256()
        file.seek(0)
        done = 0
        while chunk := file.read(8 * _CHUNK):
            hashed.update(chunk)
            done += len(chunk)
            self._tell(Progress("checking", done, total))
        found = hashed.hexdigest()
        if wanted and found != wanted:
            self._discard(file)
            raise Permanent(
                f"what came from {self._shown} has the SHA-256 {found}, and {wanted} was wanted; it was thrown away",
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

    def _finish(self, file: BinaryIO) -> int:
        size = _length(file)
        os.fsync(file.fileno())
        os.replace(_part(self.target), self.target)
        _state(self.target).unlink(missing_ok=True)
        return size

    def _discard(self, file: BinaryIO) -> None:
        file.truncate(0)
        for path in (_part(self.target), _state(self.target)):
            path.unlink(missing_ok=True)

    def _gave_up(self, error: BaseException, have: int) -> AgentHostError:
        said = error.message if isinstance(error, AgentHostError) else str(error) or type(error).__name__
        of = f" of {in_words(self._total)}" if self._total else ""
        return Temporary(
            f"{self._url.host} can't be fetched from: {said}. {in_words(have)}{of} are here; the same command goes on from there",
            code="unreachable",
        )


def _free_name(target: Path, name: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{target.parent} can't be made: {error.strerror}") from None
    if target.exists():
        raise BadInput(
            f"there is a model '{name}' already; take another name with --name, or first: agenthost model remove {name}"
        )


def _open(target: Path) -> BinaryIO:
    """The part's file, for us alone."""
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
