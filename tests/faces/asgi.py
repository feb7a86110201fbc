"""Requests to an application in this process, without a connection."""

import asyncio
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp

from agenthost.faces.http.protocol import LOCAL


async def told(
    app: ASGIApp,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    local: bool = True,
) -> tuple[int, dict[str, str], bytes]:
    """What an application answers: status, headers, body. `local`: as from the host's own user."""
    given = {"Host": "127.0.0.1"} | (headers or {})
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        LOCAL: local,
    }
    sent: list[Any] = []
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if pieces:
            return pieces.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(30):
        await app(scope, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])
