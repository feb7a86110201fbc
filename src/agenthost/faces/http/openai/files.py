"""`/v1/files`: files that a client gives under an id, to be named in requests. Their bytes are the host's, by content hash."""

import re
import secrets
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agenthost.core.api import HostApi
from agenthost.core.shelf import Thing
from agenthost.faces.http.bodies import answer, pieces, query
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.openai.content import FILE, FileFacts, facts_of
from agenthost.faces.http.openai.errors import Refused, wrong
from agenthost.faces.http.openai.listing import limit_of, listed, newest_first
from agenthost.faces.http.openai.record import Json
from agenthost.faces.http.openai.serving import Serving
from agenthost.faces.http.uploads import MULTIPART, Upload

PURPOSES = ("assistants", "vision", "user_data")
_ELSEWHERE = ("batch", "fine-tune", "evals")
_PIECE = 1 << 20
_LONGEST = 30 * 86_400
_NAME = re.compile(r'[^\x20-\x7e]|["\\]')


async def create(serving: Serving, request: Request) -> Response:
    """Keep a file."""
    media = request.headers.get("content-type", "")
    if not media.lower().startswith(MULTIPART):
        raise wrong("file", "send a form (multipart/form-data) with `file` and `purpose`.")
    caller, shelf = caller_of(request), serving.behind.shelf
    upload = Upload(media, pieces(request, serving.behind.upload()))
    await upload.begin()
    kept = await api_of(request).take_file(upload.name or "upload", upload.pieces())
    purpose, expires = _purpose(upload.fields), _expires(upload.fields)
    facts = FileFacts(kept.digest, kept.name or upload.name or "upload", kept.size, kept.media_type, purpose, expires)
    id = f"file-{secrets.token_hex(12)}"
    thing = shelf.new(caller, FILE, id, msgspec.json.encode(facts), files=(kept.digest,))
    await shelf.put(caller, [thing])
    return answer(_told(thing))


async def get(serving: Serving, request: Request) -> Response:
    """What one is."""
    await _known(serving, request)
    return answer(_told(await serving.behind.shelf.get(caller_of(request), FILE, str(request.path_params["id"]))))


async def content(serving: Serving, request: Request) -> Response:
    """Its bytes."""
    facts, api = await _known(serving, request), api_of(request)
    size = await api.file_size(facts.digest)
    headers = {
        "Content-Length": str(size),
        # Never shown by a browser as anything that could run in the page's origin.
        "Content-Disposition": f'attachment; filename="{_NAME.sub("_", facts.name)}"; '
        f"filename*=UTF-8''{quote(facts.name, safe='', errors='replace')}",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_bytes(api, facts.digest, size), headers=headers, media_type="application/octet-stream")


async def delete(serving: Serving, request: Request) -> Response:
    """Forget one; its bytes go where nothing else needs them, with the next sweep."""
    await _known(serving, request)
    id = str(request.path_params["id"])
    await serving.behind.shelf.delete(caller_of(request), FILE, id)
    return answer({"id": id, "object": "file", "deleted": True})


async def list_files(serving: Serving, request: Request) -> Response:
    """The caller's own, by pages."""
    shelf, caller, last = serving.behind.shelf, caller_of(request), 0
    down, limit, purpose = newest_first(request), limit_of(request, 10_000, 10_000), query(request, "purpose", str, "")
    if after := query(request, "after", str, ""):
        last = (await shelf.get(caller, FILE, after)).place
    found: list[Json] = []
    while len(found) <= limit:
        place = -(last or 1 << 62) if down else last
        page = await shelf.of(caller, FILE, after=place)
        found += [told for each in page if (told := _told(each)) and _wanted(told, purpose)]
        if not page:
            break
        last = page[-1].place
    return listed(found[:limit], len(found) > limit)


def _wanted(told: Json, purpose: str) -> bool:
    expires = told.get("expires_at")
    return (not purpose or told["purpose"] == purpose) and (expires is None or expires > time.time())


async def _known(serving: Serving, request: Request) -> FileFacts:
    id = str(request.path_params["id"])
    facts = await facts_of(serving.taking(request), id)
    if facts is None:
        raise Refused(f"No such File object: {id}", "id", "file_not_found", 404)
    return facts


async def _bytes(api: HostApi, digest: str, size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, _PIECE):
        yield await api.read_file(digest, start, min(_PIECE, size - start))


def _told(thing: Thing) -> Json:
    facts = msgspec.json.decode(thing.body, type=FileFacts)
    return {
        "id": thing.id,
        "object": "file",
        "bytes": facts.size,
        "created_at": int(thing.created),
        "filename": facts.name,
        "purpose": facts.purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": int(facts.expires) or None,
    }


def _purpose(fields: dict[str, str]) -> str:
    purpose = fields.get("purpose", "")
    if not purpose:
        raise Refused("Missing required parameter: 'purpose'.", "purpose", "missing_required_parameter")
    if purpose in _ELSEWHERE:
        raise wrong("purpose", f"this host has no use for files of the purpose '{purpose}'; give user_data.")
    if purpose not in PURPOSES:
        raise wrong("purpose", f"'{purpose[:40]}' is none of {', '.join(PURPOSES)}.")
    return purpose


def _expires(fields: dict[str, str]) -> float:
    seconds = fields.get("expires_after[seconds]", "")
    if not seconds:
        return 0.0
    if fields.get("expires_after[anchor]") != "created_at":
        raise wrong("expires_after.anchor", "it is 'created_at'.")
    if not seconds.isdecimal() or not 3600 <= int(seconds[:12]) <= _LONGEST:
        raise wrong("expires_after.seconds", f"give seconds between 3600 and {_LONGEST}.")
    return time.time() + int(seconds)
