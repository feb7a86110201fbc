"""One request: whose it is, what its client can do, and how it is told things."""

import asyncio
from collections import OrderedDict
from typing import Any, cast

import mcp.types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from pydantic import ValidationError
from starlette.requests import Request

from agenthost.core.access import Caller
from agenthost.core.api import HostApi, OpenQuestion
from agenthost.core.events import Recorded
from agenthost.faces.http import callers
from agenthost.faces.http.mcp import asking
from agenthost.faces.http.mcp.telling import LEVELS, Level, Teller
from agenthost.faces.http.mcp.watching import AskOf

Context = ServerRequestContext[Any, Any]
RELATED_TASK = "io.modelcontextprotocol/related-task"
"""In `_meta`: which MCP task a message belongs to (2025-11-25)."""
STATELESS = "2026-07-28"
"""The revision without handshake or session: from it on a client is asked by the result of its request."""
SESSION = "mcp-session-id"
_MOST_SESSIONS = 10_000


def stateless(ctx: Context) -> bool:
    """Whether the request is of the revision without sessions."""
    return ctx.protocol_version >= STATELESS


def request_of(ctx: Context) -> Request:
    """The HTTP request."""
    return cast(Request, ctx.request)


def api_of(ctx: Context) -> HostApi:
    """The host as the caller may use it. Public for what a published server does on its caller's behalf."""
    return callers.api_of(request_of(ctx))


def caller_of(ctx: Context) -> Caller:
    """Who asks."""
    return callers.caller_of(request_of(ctx))


def session_of(ctx: Context) -> str:
    """The session's id; empty where there is none."""
    return request_of(ctx).headers.get(SESSION, "")


def elicits(ctx: Context) -> bool:
    """Whether the client can put a form before a person."""
    can = ctx.session.client_capabilities
    return can is not None and can.elicitation is not None


class Levels:
    """From which level on a session wants to be told; the oldest are forgotten."""

    def __init__(self) -> None:
        self._levels: OrderedDict[str, Level] = OrderedDict()

    def set(self, ctx: Context, level: Level) -> None:
        """Remember what a session wants."""
        self._levels[session_of(ctx)] = level
        self._levels.move_to_end(session_of(ctx))
        while len(self._levels) > _MOST_SESSIONS:
            self._levels.popitem(last=False)

    def wants(self, ctx: Context, level: Level) -> bool:
        """Whether a message of that level is to be sent. Without sessions each request says so, or wants none."""
        if stateless(ctx):
            least = (ctx.meta or {}).get(types.LOG_LEVEL_META_KEY)
        else:
            least = self._levels.get(session_of(ctx), "info")
        return least in LEVELS and LEVELS.index(level) >= LEVELS.index(least)


class Told:
    """Tells a client what happens: progress where it gave a token, log messages where it wants them. `task`: the MCP task
    that all of it belongs to, if it does (2025-11-25)."""

    def __init__(self, ctx: Context, levels: Levels, task: str = "") -> None:
        self._ctx = ctx
        self._meta = cast(Any, {RELATED_TASK: {"taskId": task}} if task else None)
        self._levels = levels
        self._teller = Teller()
        self._count = 0

    async def __call__(self, recorded: Recorded) -> None:
        line = self._teller.line(recorded)
        if line is None:
            return
        text, level = line
        self._count += 1
        await self._progress(text)
        if self._levels.wants(self._ctx, level):
            params = types.LoggingMessageNotificationParams(
                level=level, logger="agenthost", data={"task": recorded.task, "message": text}, _meta=self._meta
            )
            message = types.LoggingMessageNotification(params=params)
            await self._ctx.session.send_notification(message, related_request_id=self._ctx.request_id)

    async def _progress(self, text: str) -> None:
        token: Any = (self._ctx.meta or {}).get("progress_token")
        if self._meta is None:
            await self._ctx.session.report_progress(self._count, message=text)
        elif token is not None:
            params = types.ProgressNotificationParams(
                progress_token=token, progress=self._count, message=text, _meta=self._meta
            )
            message = types.ProgressNotification(params=params)
            await self._ctx.session.send_notification(message, related_request_id=self._ctx.request_id)


def asker(ctx: Context, task: str = "") -> AskOf | None:
    """How a client is asked while its request goes on; None where it can't be. `task`: the MCP task whose result the
    request waits for: then it waits on until somebody else has answered."""
    if not stateless(ctx) and elicits(ctx):
        return Asker(ctx, task)
    return _nobody if task else None


async def _nobody(question: OpenQuestion) -> str | None:
    await asyncio.Event().wait()
    return None


class Asker:
    """Puts a question to the client as an elicitation. `task`: the MCP task that it belongs to, if it does. `alone`: by
    the session's own stream, not by the answer to the request."""

    def __init__(self, ctx: Context, task: str, alone: bool = False) -> None:
        self._ctx = ctx
        self._task = task
        self._related = None if alone else ServerMessageMetadata(related_request_id=ctx.request_id)

    async def __call__(self, question: OpenQuestion) -> str | None:
        """What was answered; None where nobody did."""
        if not asking.askable(question):
            return None
        params = asking.form(question)
        if self._task:
            params.meta = cast(Any, {RELATED_TASK: {"taskId": self._task}})
        try:
            result = await self._ctx.session.send_request(
                types.ElicitRequest(params=params),
                types.ElicitResult,
                metadata=self._related,
            )
        except (MCPError, ValidationError):
            return None
        return asking.answer_of(question.ask, result)
