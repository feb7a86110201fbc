"""The server that the official package drives: what the host has, and what its owner publishes, at one door."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import mcp.types as types
from mcp.server import Server
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError

from agenthost import __version__
from agenthost.core.access import OWNER
from agenthost.core.errors import AgentHostError, NotFound
from agenthost.faces.http.mcp import pages, prompts, resources
from agenthost.faces.http.mcp.beside import Beside
from agenthost.faces.http.mcp.calls import BUILT_IN, Calls
from agenthost.faces.http.mcp.described import TASKS_EXTENSION
from agenthost.faces.http.mcp.fence import fenced, let_in
from agenthost.faces.http.mcp.listening import Subscriptions, listen
from agenthost.faces.http.mcp.published import Published, Publishers, may_call, publishing
from agenthost.faces.http.mcp.recent import RecentEvents
from agenthost.faces.http.mcp.requests import Context, Levels, api_of, caller_of, stateless
from agenthost.faces.http.mcp.results import failure
from agenthost.faces.http.mcp.standing import Standing
from agenthost.faces.http.mcp.surface import Surface
from agenthost.faces.http.mcp.tasks import Tasks
from agenthost.host.settings import McpSettings

INSTRUCTIONS = (
    "Each tool is an agent or a workflow of an AgentHost; its work goes on when you go away. A result names its task: "
    "agenthost_wait waits for it, agenthost_answer answers what it asks a person, agenthost_cancel ends it."
)
LISTS_LAST = 5_000
"""Milliseconds for which a client may keep a list."""
MOST_BODY = 64 * 1024 * 1024
"""Bytes of a request: files come in base64, so that about three quarters of it are theirs."""
RETRY = 1_000
"""Milliseconds after which a client whose stream was closed comes back."""
_NO_RESOURCE = -32002
"""Of 2025-11-25, server/resources; 2026-07-28 says that parameters are invalid."""
MOST_SESSIONS = 2_000
MOST_OF_ONE = MOST_SESSIONS // 4
"""Sessions of one person that isn't the owner: nobody keeps the others out."""
OWNERS = f"default/{OWNER}"
IDLE = 30 * 60.0
"""Seconds after which a session that asks nothing is forgotten."""


class HostServer(Server[Any]):
    """Says what it can do beyond what its handlers show: MCP's tasks, in the way of each revision."""

    def get_capabilities(
        self, *args: Any, protocol_version: str | None = None, **kwargs: Any
    ) -> types.ServerCapabilities:
        can = super().get_capabilities(*args, protocol_version=protocol_version, **kwargs)
        if protocol_version is None:
            calls = types.TasksToolsCapability(call=types.TasksCallCapability())
            can.tasks = types.ServerTasksCapability(
                list=types.TasksListCapability(),
                cancel=types.TasksCancelCapability(),
                requests=types.ServerTasksRequestsCapability(tools=calls),
            )
        else:
            if can.resources is not None:
                can.resources.list_changed = False  # a list of files that tasks write: read it when it is wanted
            can.extensions = {**(can.extensions or {}), TASKS_EXTENSION: {}}
        return can


class Sessions(StreamableHTTPSessionManager):
    """Gives each session events of its own to take up again: the package has one store for all, by streams whose names
    are not one session's alone."""

    def __init__(self, app: Server[Any], **settings: Any) -> None:
        super().__init__(app, **settings)
        self._recent = RecentEvents()

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        theirs = sum(1 for each in self._session_owners.values() if each == requestor)
        if theirs >= MOST_OF_ONE and requestor is not None and requestor["client_id"] != OWNERS:
            return None
        self.event_store = self._recent.session()
        return super()._admit_session(requestor)


class Desk:
    """The handlers."""

    def __init__(self, publishers: Publishers, calls: Calls, levels: Levels, subscriptions: Subscriptions) -> None:
        self._publishers = publishers
        self._subscriptions = subscriptions
        self._calls = calls
        self._levels = levels

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        own = [work.tool() for work in (await self._calls.surface.works(api_of(ctx))).values()]
        theirs = await self._publishers.listed(ctx, "tools/list", "tools")
        found, cursor = pages.page(_first([*own, *BUILT_IN, *theirs]), params and params.cursor)
        return types.ListToolsResult(tools=found, next_cursor=cursor)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
        result = await self._calls.call(ctx, params)
        if result is not None:
            return result
        holder = await self._publishers.holder(ctx, "tools/list", "tools", params.name)
        if holder is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        try:
            may_call(ctx)
        except AgentHostError as error:
            return failure(error.message)
        return await holder(ctx)

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        cursor = params.cursor if params else None
        theirs = [] if cursor else await self._publishers.listed(ctx, "resources/list", "resources")
        own, after = await resources.listed(api_of(ctx), caller_of(ctx).namespace, cursor or "")
        return types.ListResourcesResult(resources=[*theirs, *own], next_cursor=after or None)

    async def list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        theirs = await self._publishers.listed(ctx, "resources/templates/list", "resource_templates")
        found, cursor = pages.page([*resources.TEMPLATES, *theirs], params and params.cursor)
        return types.ListResourceTemplatesResult(resource_templates=found, next_cursor=cursor)

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> HandlerResult:
        if resources.own(params.uri):
            return await _read(ctx, params.uri)
        return await (await self._reader(ctx, params.uri))(ctx)

    async def _reader(self, ctx: Context, uri: str) -> Published:
        reader = await self._publishers.reader(ctx, uri)
        if reader is None:
            raise _missing(ctx, uri, f"Resource not found: {uri}")
        return reader

    async def subscribe(self, ctx: Context, params: Any) -> HandlerResult:
        """A published server that minds subscriptions is told; the resources of one that doesn't never change."""
        if resources.own(params.uri):
            if ctx.method == "resources/unsubscribe":
                self._subscriptions.end(ctx, params.uri)
            else:
                await _read(ctx, params.uri)
                await self._subscriptions.begin(ctx, params.uri)
            return types.EmptyResult()
        reader = await self._reader(ctx, params.uri)
        return await reader(ctx) if reader.has(ctx.method) else types.EmptyResult()

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        own = [prompts.prompt(work) for work in (await self._calls.surface.works(api_of(ctx))).values()]
        theirs = await self._publishers.listed(ctx, "prompts/list", "prompts")
        found, cursor = pages.page(_first([*own, *theirs]), params and params.cursor)
        return types.ListPromptsResult(prompts=found, next_cursor=cursor)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> HandlerResult:
        work = (await self._calls.surface.works(api_of(ctx))).get(params.name)
        if work is not None:
            return prompts.filled(work, params.arguments or {})
        holder = await self._publishers.holder(ctx, "prompts/list", "prompts", params.name)
        if holder is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        return await holder(ctx)

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> HandlerResult:
        ref = params.ref
        if isinstance(ref, types.ResourceTemplateReference) and resources.own(ref.uri):
            task = (params.context.arguments or {}).get("task", "") if params.context else ""
            values = await resources.complete(api_of(ctx), caller_of(ctx).namespace, params.argument, task)
        elif isinstance(ref, types.PromptReference) and ref.name in await self._calls.surface.works(api_of(ctx)):
            values = []
        elif (holder := await self._completer(ctx, ref)).has(ctx.method):
            return await holder(ctx)
        else:
            values = []
        return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))

    async def _completer(self, ctx: Context, ref: Any) -> Published:
        if not isinstance(ref, types.PromptReference):
            return await self._reader(ctx, ref.uri)
        holder = await self._publishers.holder(ctx, "prompts/list", "prompts", ref.name)
        if holder is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {ref.name}")
        return holder

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> HandlerResult:
        self._levels.set(ctx, params.level)
        for one in self._publishers.servers:
            if one.has(ctx.method):
                await one(ctx)
        return types.EmptyResult()

    async def cancelled(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Hears that a client of a session has cancelled its request; the package has ended the waiting by then."""
        if ctx.method == "notifications/cancelled" and ctx.request is not None:
            self._calls.cancelled(ctx, str((ctx.params or {}).get("requestId")))
        return await call_next(ctx)


async def _read(ctx: Context, uri: str) -> types.ReadResourceResult:
    try:
        return await resources.read(api_of(ctx), uri)
    except NotFound as error:
        raise _missing(ctx, uri, error.message) from error


def _missing(ctx: Context, uri: str, message: str) -> MCPError:
    """A resource that isn't there: each revision has a code of its own for it."""
    return MCPError(types.INVALID_PARAMS if stateless(ctx) else _NO_RESOURCE, message, data={"uri": uri})


def _first(items: list[Any]) -> list[Any]:
    """The first of each name."""
    return list({item.name: item for item in reversed(items)}.values())[::-1]


def _server(publishers: Publishers, surface: Surface, desk: Desk, tasks: Tasks) -> HostServer:
    bus = InMemorySubscriptionBus()
    lists = CacheHint(ttl_ms=LISTS_LAST, scope="private")
    server = HostServer(
        "agenthost",
        version=__version__,
        title="AgentHost",
        instructions=INSTRUCTIONS,
        cache_hints={
            "tools/list": lists,
            "prompts/list": lists,
            "resources/list": lists,
            "resources/templates/list": lists,
            "resources/read": CacheHint(ttl_ms=0, scope="private"),
            "server/discover": lists,
        },
        get_tool_input_schema=publishers.schema_lookup(),
        on_list_tools=cast(Any, fenced(desk.list_tools)),
        on_call_tool=cast(Any, fenced(desk.call_tool)),
        on_list_resources=cast(Any, fenced(desk.list_resources)),
        on_list_resource_templates=cast(Any, fenced(desk.list_templates)),
        on_read_resource=cast(Any, fenced(desk.read_resource)),
        on_subscribe_resource=cast(Any, fenced(desk.subscribe)),
        on_unsubscribe_resource=cast(Any, fenced(desk.subscribe)),
        on_subscriptions_listen=cast(Any, listen(ListenHandler(bus), publishers, surface)),
        on_list_prompts=cast(Any, fenced(desk.list_prompts)),
        on_get_prompt=cast(Any, fenced(desk.get_prompt)),
        on_completion=cast(Any, fenced(desk.complete)),
    )
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, fenced(desk.set_level))
    server.middleware += [let_in, desk.cancelled]
    tasks.add(server)
    return server


@asynccontextmanager
async def serving(
    settings: McpSettings, leaving: asyncio.Event, beside: Beside
) -> AsyncGenerator[StreamableHTTPSessionManager]:
    """The whole face, alive. Raises Unavailable where a published server can't be had."""
    levels, subscriptions, standing = Levels(), Subscriptions(beside), Standing(leaving, beside)
    calls = Calls(Surface(settings.tools), levels, leaving, beside, settings.patience)
    async with publishing(settings.servers) as publishers:
        manager = Sessions(
            _server(publishers, calls.surface, Desk(publishers, calls, levels, subscriptions), Tasks(calls, standing)),
            retry_interval=RETRY,
            session_idle_timeout=IDLE,
            max_request_body_size=MOST_BODY,
            max_sessions=MOST_SESSIONS,
        )
        async with manager.run():
            try:
                yield manager
            finally:
                subscriptions.close()
                standing.close()
