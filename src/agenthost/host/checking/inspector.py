"""The port `core.checks.Inspector`: reads the committed files, asks addresses outside through the guarded client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from agenthost.core.checks import MOST_FILE, FileLook, FilesLook, HttpLook, JsonLook, Look, Place, ReportLook, Seen
from agenthost.core.errors import AgentHostError, BadInput, NotFound, Permanent
from agenthost.core.ids import digest
from agenthost.host.checking import junit

Search = Callable[[str, bytes], Awaitable[bool]]
"""Whether a regular expression is found in a text. Raises BadInput where that came to no end."""

Fetch = Callable[[str, dict[str, str], int, float], Awaitable[tuple[int, bytes]]]
"""GET of a URL with headers, reading so many bytes in so many seconds: status and body. Raises as host.outgoing does."""

_MOST_BODY = 256 * 1024
_PAUSE = 1.0  # seconds between two tries at an address
_MOST_LISTED = 500
_MOST_SHOWN = 6_000  # characters of one file
_PEEK = 1024 * 1024


class HostInspector:
    """Looks for checks. `search` looks for regular expressions, `fetch` asks addresses outside."""

    def __init__(self, search: Search, fetch: Fetch) -> None:
        self._search = search
        self._fetch = fetch

    async def inspect(self, look: Look, place: Place) -> Seen:
        """What there is to see."""
        if isinstance(look, HttpLook):
            return await self._http(look)
        if isinstance(look, FilesLook):
            return await _files(look, place)
        if isinstance(look, FileLook) and look.absent:
            there = look.path in await place.files()
            return Seen(not there, f"there is a file '{look.path}'" if there else "", {"path": look.path})
        try:
            if await place.size(look.path) > MOST_FILE:
                return Seen(False, f"'{look.path}' has more than {MOST_FILE >> 20} MB", {"path": look.path})
            content = await place.read(look.path)
        except (NotFound, BadInput):
            return Seen(False, f"there is no file '{look.path}'", {"path": look.path})
        facts: dict[str, Any] = {"path": look.path, "sha256": digest(content), "size": len(content)}
        if isinstance(look, FileLook):
            why = await self._file(look, content)
        elif isinstance(look, JsonLook):
            why = await asyncio.to_thread(_json, look, content)
        else:
            why = await asyncio.to_thread(_report, look, content, facts)
        return Seen(not why, why, facts)

    async def _file(self, look: FileLook, content: bytes) -> str:
        if look.sha256:
            wrong = digest(content) != f"sha256:{look.sha256.lower()}"
            return f"'{look.path}' has another content: its hash is {digest(content)}" if wrong else ""
        if not content.strip():
            return f"'{look.path}' is empty"
        if look.pattern:
            try:
                if not await self._search(look.pattern, content):
                    return f"'{look.path}' has nothing that matches {look.pattern!r}"
            except BadInput as error:
                return error.message
        return ""

    async def _http(self, look: HttpLook) -> Seen:
        loop = asyncio.get_running_loop()
        until = loop.time() + look.within
        facts: dict[str, Any] = {"url": look.url}
        while True:
            left = until - loop.time()
            try:
                status, body = await self._fetch(look.url, {"User-Agent": "agenthost"}, _MOST_BODY, max(left, _PAUSE))
                facts |= {"status": status, "size": len(body), "sha256": digest(body)}
                why = await self._judged(look, status, body)
            except Permanent as error:
                return Seen(False, f"{look.url} was not asked: {error.message}", facts)
            except AgentHostError as error:
                why = error.message
            if not why or until - loop.time() <= _PAUSE:
                return Seen(not why, why, facts)
            await asyncio.sleep(_PAUSE)

    async def _judged(self, look: HttpLook, status: int, body: bytes) -> str:
        if status != look.status:
            return f"{look.url} answered with the status {status}, not {look.status}"
        if look.body and not await self._search(look.body, body):
            return f"the body of {look.url} has nothing that matches {look.body!r}"
        return ""


def _json(look: JsonLook, content: bytes) -> str:
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"'{look.path}' is not JSON ({error})"
    # With a registry of its own nothing is fetched for a `$ref`.
    checker: Any = Draft202012Validator(look.schema, registry=Registry())
    try:
        found = next(iter(checker.iter_errors(value)), None)
    except (Unresolvable, RecursionError) as error:
        return f"the schema for '{look.path}' can't be used: {error}"
    return f"'{look.path}' does not fit its schema: at {found.json_path}: {found.message[:300]}" if found else ""


def _report(look: ReportLook, content: bytes, facts: dict[str, Any]) -> str:
    try:
        tally = junit.read(content)
    except BadInput as error:
        return f"the test report '{look.path}' can't be read: {error.message}"
    facts |= msgspec.structs.asdict(tally)
    run = tally.tests - tally.skipped
    if tally.failures or tally.errors:
        return f"of {tally.tests} tests {tally.failures} failed and {tally.errors} ended with an error"
    if run < look.tests:
        return f"{run} tests were run ({tally.skipped} were skipped), and at least {look.tests} should be"
    if tally.skipped > look.skipped:
        return f"{tally.skipped} tests were skipped, and at most {look.skipped} may be"
    return ""


async def _files(look: FilesLook, place: Place) -> Seen:
    """What is there, and the words of the files that are wanted. A file that is gone is not in the list."""
    files = dict(sorted((await place.files()).items()))
    first = [path for name in look.show for path in _called(name, files)]
    listed = list(dict.fromkeys([*first, *files]))[:_MOST_LISTED]
    sizes = {path: await place.size(path) for path in listed}
    texts: dict[str, str] = {}
    room = look.most
    for path in first:
        if room <= 0 or sizes[path] > _PEEK:
            continue
        text = _text(await place.read(path))[: min(room, _MOST_SHOWN)]
        texts[path] = text
        room -= len(text)
    shown = {path: files[path] for path in listed}
    return Seen(True, "", {"files": shown, "sizes": sizes, "texts": texts, "cut": len(files) - len(listed)})


def _called(name: str, files: dict[str, str]) -> list[str]:
    """The file of that name, and those of that name in any folder."""
    return [path for path in files if path == name or path.endswith(f"/{name}")]


def _text(content: bytes) -> str:
    return "" if b"\0" in content[:4096] else content.decode("utf-8", "replace")
