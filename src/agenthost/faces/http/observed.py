"""What is written down of each request: who, which route, what came of it, how long it took. Never bodies, queries, tokens.

Each has an id: the client's `X-Request-Id` where it is fit to be one, else a new one; the answer bears it.
"""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec import Struct
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agenthost.core.access import Caller
from agenthost.core.traces import parent_of
from agenthost.faces.http.callers import CALLER, CAUSE, TASK

_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TASK = re.compile(r"[A-Za-z0-9._-]{1,256}")
_HEADER = b"x-request-id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CAREFUL = ((b"cache-control", b"private, no-cache"), (b"x-content-type-options", b"nosniff"))
"""What an answer bears that says nothing else: it is for who asked, and is what it says to be."""
UNKNOWN = "unknown"
"""The route of a request that fits none, and a method that is none."""


class Answered(Struct, frozen=True):
    """A request that is over. `status` is 0 where the connection broke before there was any. `size`: bytes of the
    answer's body. `task`: the one that it is about, or that it made."""

    id: str
    method: str
    route: str
    status: int
    seconds: float
    size: int
    who: str = ""
    via: str = ""
    task: str = ""


Watch = Callable[[Answered], None]


class Observed:
    """Stands before everything else. `watch` is told of each request when it is over."""

    def __init__(self, app: ASGIApp, watch: Sequence[Watch]) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id, cause = _read(scope["headers"])
        if cause:
            scope[CAUSE] = cause
        bearing = (_HEADER, id)
        scope[TASK] = []
        began, status, size, task = time.perf_counter(), 0, 0, ""

        async def sending(message: Message) -> None:
            nonlocal status, size, task
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                message["headers"] = [*headers, bearing, *(each for each in _CAREFUL if not _has(headers, each[0]))]
                task = _made(headers) if status in (201, 202) else ""
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            caller = cast("Caller | None", scope.get(CALLER))
            answered = Answered(
                id.decode(),
                scope["method"] if scope["method"] in _METHODS else UNKNOWN,
                template(scope),
                status,
                time.perf_counter() - began,
                size,
                caller.person if caller else "",
                caller.via if caller else "",
                _task(scope) or task,
            )
            for watch in self._watch:
                watch(answered)


def _has(headers: Any, wanted: bytes) -> bool:
    return any(name == wanted for name, _ in headers)


def _read(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, str]:
    """The request's id, and the traceparent that came along."""
    id, cause = b"", ""
    for name, value in headers:
        if name == _HEADER and _ID.fullmatch(value):
            id = value
        elif name == b"traceparent":
            text = value.decode("latin-1")
            cause = text if parent_of(text) else ""
    return id or secrets.token_hex(8).encode(), cause


def _task(scope: Scope) -> str:
    named = str((scope.get(TASK) or [scope.get("path_params", {}).get("task", "")])[-1])
    return named if _TASK.fullmatch(named) else ""


def _made(headers: Any) -> str:
    """The task that `Location` names."""
    for name, value in headers:
        if name.lower() == b"location":
            before, _, rest = value.decode("latin-1").partition("/tasks/")
            return rest.partition("/")[0] if before.endswith("/v1") else ""
    return ""


def template(scope: Scope) -> str:
    """The template of the route that a request came to, with those that it is mounted below."""
    route: BaseRoute | None = scope.get("route")
    path = getattr(route, "path", None)
    if path is None:
        return UNKNOWN
    return str(scope.get("root_path", "")) + path or "/"
