"""MCP's tasks are the host's: what a call began is asked for by id, also over another connection and after a restart.

2025-11-25 has them in the protocol: the client asks for one with `task` in its call. 2026-07-28 has them as the
extension `io.modelcontextprotocol/tasks` (SEP-2663): the client says that it can, and the host decides.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import mcp.types as types
from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError

from agenthost.core.api import TaskDetail
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.mcp import results
from agenthost.faces.http.mcp.asking import askable, form, name_of
from agenthost.faces.http.mcp.calls import Calls, Manner, decides
from agenthost.faces.http.mcp.described import TASKS_EXTENSION, described
from agenthost.faces.http.mcp.fence import fenced
from agenthost.faces.http.mcp.pages import after_task
from agenthost.faces.http.mcp.requests import RELATED_TASK, Context, api_of, caller_of, request_of, stateless
from agenthost.faces.http.mcp.standing import Standing

PAGE = 50


OF_SESSIONS = ("tasks/result", "tasks/list")
OF_THE_EXTENSION = ("tasks/update",)


class TaskParams(types.RequestParams):
    """Names a task."""

    task_id: str


class UpdateParams(TaskParams):
    """Answers what a task asks."""

    input_responses: dict[str, types.ElicitResult]


class Tasks:
    """The methods of both revisions."""

    def __init__(self, calls: Calls, standing: Standing) -> None:
        self._calls = calls
        self._standing = standing

    def add(self, server: Server[Any]) -> None:
        """Give a server the methods."""
        server.add_request_handler("tasks/get", TaskParams, fenced(self.get))
        server.add_request_handler("tasks/result", TaskParams, fenced(self.result))
        server.add_request_handler("tasks/cancel", TaskParams, fenced(self.cancel))
        server.add_request_handler("tasks/list", types.PaginatedRequestParams, fenced(self.list))
        server.add_request_handler("tasks/update", UpdateParams, fenced(self.update))
        server.middleware.append(self.begun)

    async def begun(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """A call that becomes a task. It stands above the package's own check of results, which knows no tasks."""
        params = ctx.params or {}
        if ctx.method.startswith("tasks/"):
            _check(ctx, params)
        if ctx.method != "tools/call" or stateless(ctx) or params.get("task") is None:
            return await call_next(ctx)
        return await fenced(self._asked_for)(ctx, params)

    async def _asked_for(self, ctx: Context, params: Any) -> HandlerResult:
        work = (await self._calls.surface.works(api_of(ctx))).get(str(params.get("name")))
        if work is None:
            raise MCPError(
                types.METHOD_NOT_FOUND, f"the tool '{params.get('name')}' doesn't run as a task; call it without"
            )
        row = await self._calls.start(ctx, work, dict(params.get("arguments") or {}))
        self._standing.begin(ctx, row)
        return {"task": described(row, "ttl")}

    async def get(self, ctx: Context, params: TaskParams) -> HandlerResult:
        """How a task is; where the host decides what becomes one, with what it asks or what came of it."""
        detail = await api_of(ctx).task(params.task_id)
        if not stateless(ctx):
            if detail.questions:
                self._standing.begin(ctx, detail.row)
            return described(detail.row, "ttl")
        return await self._detailed(ctx, detail)

    async def _detailed(self, ctx: Context, detail: TaskDetail) -> dict[str, Any]:
        told = described(detail.row, "ttlMs")
        if told["status"] == "input_required":
            told["inputRequests"] = {
                name_of(question): {
                    "method": "elicitation/create",
                    "params": form(question).model_dump(by_alias=True, mode="json", exclude_none=True),
                }
                for question in detail.questions
                if askable(question)
            }
            if not detail.questions:
                told["status"] = "working"
                del told["inputRequests"]
        elif told["status"] in ("completed", "failed"):
            # A run that failed has a result all the same; `failed` is for what the protocol itself refused.
            told["status"] = "completed"
            told["result"] = results.wire(await self._result(ctx, detail.row)) | {"resultType": "complete"}
        return told

    async def _result(self, ctx: Context, row: TaskRow) -> types.Result:
        work = (await self._calls.surface.works(api_of(ctx))).get(row.name)
        found = await self._calls.watch(ctx, row, work is not None and work.output is not None, Manner(related=True))
        return cast(types.Result, found)

    async def result(self, ctx: Context, params: TaskParams) -> HandlerResult:
        """Waits until a task has ended, and gives what the call would have given."""
        row = (await api_of(ctx).task(params.task_id)).row
        self._standing.give_over(ctx, row)
        result = results.wire(await self._result(ctx, row))
        meta: dict[str, Any] = {**result.get("_meta", {}), RELATED_TASK: {"taskId": row.id}}
        return {**result, "_meta": meta}

    async def list(self, ctx: Context, params: types.PaginatedRequestParams) -> HandlerResult:
        """The caller's tasks, the newest first."""
        before = await after_task(api_of(ctx), params.cursor or "")
        wanted = Filter(caller_of(ctx).namespace, roots_only=True, before=before, limit=PAGE)
        rows = await api_of(ctx).tasks(wanted)
        told: dict[str, Any] = {"tasks": [described(row, "ttl") for row in rows]}
        return told | ({"nextCursor": rows[-1].id} if len(rows) == PAGE else {})

    async def cancel(self, ctx: Context, params: TaskParams) -> HandlerResult:
        """Ends a task; waits until it has, for the older revision wants to see that."""
        api = api_of(ctx)
        row = (await api.task(params.task_id)).row
        if row.state in FINAL and stateless(ctx):
            return {}
        await api.cancel(row.id, caller_of(ctx).person, "asked for over MCP")
        if stateless(ctx):
            return {}
        async with asyncio.timeout(30):
            async for _ in api.follow(row.id, {row.id: row.seq}, tree=False):
                pass
        return described((await api.task(row.id)).row, "ttl")

    async def update(self, ctx: Context, params: UpdateParams) -> HandlerResult:
        """Answers questions; what was answered already is left out."""
        await self._calls.answer(ctx, params.task_id, params.input_responses)
        return {}


def _check(ctx: Context, params: Mapping[str, Any]) -> None:
    """Each revision has methods of its own; of the newer one only clients that said so may use them (SEP-2663)."""
    if ctx.method in (OF_SESSIONS if stateless(ctx) else OF_THE_EXTENSION):
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", data=ctx.method)
    if not stateless(ctx):
        return
    if not decides(ctx):
        wanted: dict[str, Any] = {"extensions": {TASKS_EXTENSION: {}}}
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"{ctx.method} is for clients that declare the extension {TASKS_EXTENSION}",
            data={"requiredCapabilities": wanted},
        )
    named = request_of(ctx).headers.get("mcp-name")
    if named is not None and named != params.get("taskId"):
        raise MCPError(types.HEADER_MISMATCH, "the header Mcp-Name names another task than the request")
