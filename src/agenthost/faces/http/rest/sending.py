"""A file as an answer, in parts: whole or a range of it (RFC 9110, section 14), never held."""

import re
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.operations import Answer

BYTES = "application/octet-stream"
_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

ANSWERS = (
    Answer(
        200,
        description="the file's bytes",
        media=BYTES,
        headers={"ETag": "its content hash", "Accept-Ranges": "`bytes`"},
    ),
    Answer(206, description="the part that was asked for", media=BYTES, headers={"Content-Range": "which part it is"}),
    Answer(304, description="it is the one that `If-None-Match` names"),
)


async def file_answer(request: Request, api: HostApi, digest: str, name: str = "", fixed: bool = False) -> ASGIApp:
    """A file as an answer to a request. `fixed`: its path names its content, so that it may be kept for ever. Raises
    NotFound."""
    size = await api.file_size(digest)
    headers = {
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable" if fixed else "private, no-cache",
        "Content-Type": BYTES,
        # A browser never shows it as anything that could run in the page's origin.
        "Content-Disposition": _disposition(name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    part = _part(request.headers, digest, size)
    if part is None:
        told = BadInput(f"the file has {size} bytes, and none of them in that range")
        return problem(told, 416, {"Content-Range": f"bytes */{size}"})
    start, end = part
    if (start, end) == (0, size):
        return _Sent(api, digest, (start, end), 200, headers)
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return _Sent(api, digest, (start, end), 206, headers)


def _part(headers: Headers, digest: str, size: int) -> tuple[int, int] | None:
    """From where to before where; all of it where no single range is asked for, None where there is nothing in it."""
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    known = headers.get("if-range")
    if found is None or not (found[1] or found[2]) or (known is not None and known != f'"{digest}"'):
        return 0, size
    if not found[1]:
        length = min(int(found[2]), size)
        return (size - length, size) if length else None
    start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if found[2] and int(found[2]) < start:
        return 0, size
    return (start, end) if start < size else None


def _disposition(name: str) -> str:
    return f"attachment; filename*=UTF-8''{quote(name.rpartition('/')[2], safe='')}" if name else "attachment"


class _Sent:
    """A part of a file, read as it is sent."""

    def __init__(self, api: HostApi, digest: str, part: tuple[int, int], status: int, headers: dict[str, str]) -> None:
        self._api = api
        self._digest = digest
        self._part = part
        self._status = status
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at, end = self._part
        told = {**self._headers, "Content-Length": str(end - at)}
        head = [(name.lower().encode(), value.encode("latin-1")) for name, value in told.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": head})
        while at < end and scope["method"] != "HEAD":
            piece = await self._api.read_file(self._digest, at, min(_PIECE, end - at))
            if not piece:
                break  # the file is shorter by now: the connection ends before its length was sent
            at += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
