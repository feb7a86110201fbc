"""What clients are told unasked: changes of the lists, of tasks that they look at, and of what published servers tell.

2026-07-28 has one stream for it, `subscriptions/listen`; sessions of 2025-11-25 subscribe to single resources.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import mcp.types as types
from mcp.server.subscriptions import ListenHandler
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    PromptsListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
    event_to_notification,
)

from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError
from agenthost.core.events import Recorded
from agenthost.faces.http.mcp.beside import Beside
from agenthost.faces.http.mcp.pages import TASKS, task_of
from agenthost.faces.http.mcp.published import Published, Publishers
from agenthost.faces.http.mcp.requests import Context, api_of, request_of, session_of
from agenthost.faces.http.mcp.surface import Surface, Work

LOOK = 2.0
"""Seconds between two looks at what tools there are, while somebody wants to know."""
MOST_SUBSCRIPTIONS = 1_000
Listen = Callable[[Context, types.SubscriptionsListenRequestParams], Awaitable[types.SubscriptionsListenResult]]


class _Quiet:
    """A session that passes on changes, and not another acknowledgement."""

    def __init__(self, session: Any, begun: asyncio.Event) -> None:
        self._session = session
        self._begun = begun

    async def send_notification(self, notification: Any, related_request_id: Any = None) -> None:
        if isinstance(notification, types.SubscriptionsAcknowledgedNotification):
            return
        await self._begun.wait()
        await self._session.send_notification(notification, related_request_id)


class _Telling:
    """The session of the host's own stream: says when its first frame has gone out."""

    def __init__(self, session: Any, begun: asyncio.Event) -> None:
        self._session = session
        self._begun = begun

    async def send_notification(self, notification: Any, related_request_id: Any = None) -> None:
        await self._session.send_notification(notification, related_request_id)
        self._begun.set()


def listen(own: ListenHandler, publishers: Publishers, surface: Surface) -> Listen:
    """The handler: the host acknowledges, then everybody's changes come, until the client goes."""

    async def run(ctx: Context, params: types.SubscriptionsListenRequestParams) -> types.SubscriptionsListenResult:
        begun = asyncio.Event()

        async def tell(event: ServerEvent) -> None:
            await begun.wait()
            meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
            await ctx.session.send_notification(event_to_notification(event, meta), related_request_id=ctx.request_id)

        wanted = params.notifications
        # Where everything stands is known before the client is told that it listens.
        places = await _places(api_of(ctx), wanted.resource_subscriptions or ())
        known = await surface.works(api_of(ctx))
        quiet = replace(ctx, session=_Quiet(ctx.session, begun))  # pyright: ignore[reportArgumentType]
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(_relay(one, quiet)) for one in publishers.servers if one.has(ctx.method)]
            if wanted.tools_list_changed or wanted.prompts_list_changed:
                beside.append(group.create_task(_lists(api_of(ctx), surface, known, wanted, tell)))
            beside += [group.create_task(_changes(api_of(ctx), uri, after, tell)) for uri, after in places.items()]
            try:
                return await own(replace(ctx, session=_Telling(ctx.session, begun)), params)  # pyright: ignore[reportArgumentType]
            finally:
                for task in beside:
                    task.cancel()

    return run


async def _relay(one: Published, ctx: Context) -> None:
    await one(ctx)


Tell = Callable[[ServerEvent], Awaitable[None]]


async def _lists(
    api: HostApi, surface: Surface, known: dict[str, Work], wanted: types.SubscriptionFilter, tell: Tell
) -> None:
    """Tell when agents and workflows come, go or change: they are the tools, and the prompts."""
    while True:
        await asyncio.sleep(LOOK)
        now = await surface.works(api)
        if now != known:
            known = now
            if wanted.tools_list_changed:
                await tell(ToolsListChanged())
            if wanted.prompts_list_changed:
                await tell(PromptsListChanged())


async def _places(api: HostApi, uris: Sequence[str]) -> dict[str, dict[str, int]]:
    """How far each of those tasks is. What the caller can't see is left out: nothing is ever told of it."""
    found: dict[str, dict[str, int]] = {}
    for uri in uris:
        if uri.startswith(TASKS):
            try:
                found[uri] = await place_of(api, uri)
            except AgentHostError:
                continue
    return found


async def place_of(api: HostApi, uri: str) -> dict[str, int]:
    """How far a task is, with all below it. Raises NotFound."""
    detail = await api.task(task_of(uri)[0])
    return {row.id: row.seq for row in (detail.row, *detail.children)}


async def _changes(api: HostApi, uri: str, after: dict[str, int], tell: Tell) -> None:
    """Tell of each event of a task, until it has ended."""
    try:
        async for item in api.follow(task_of(uri)[0], after):
            if isinstance(item, Recorded):
                await tell(ResourceUpdated(uri))
    except AgentHostError:
        return


class Subscriptions:
    """What sessions have subscribed to. One ends with its task, or as the oldest of too many."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside
        self._open: OrderedDict[tuple[str, str], asyncio.Task[None]] = OrderedDict()

    async def begin(self, ctx: Context, uri: str) -> None:
        """Tell a session of the changes of a task from now on. Raises NotFound. A file never changes."""
        if not uri.startswith(TASKS):
            return
        after = await place_of(api_of(ctx), uri)

        async def tell(event: ServerEvent) -> None:
            await ctx.session.send_resource_updated(uri)

        self.end(ctx, uri)
        key = (session_of(ctx), uri)
        self._open[key] = self._beside.begin_for(
            request_of(ctx).scope, self._follow(key, _changes(api_of(ctx), uri, after, tell)), "mcp: subscription"
        )
        while len(self._open) > MOST_SUBSCRIPTIONS:
            self._open.popitem(last=False)[1].cancel()

    def end(self, ctx: Context, uri: str) -> None:
        """Tell it no more."""
        task = self._open.pop((session_of(ctx), uri), None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """The host stops."""
        for task in self._open.values():
            task.cancel()

    async def _follow(self, key: tuple[str, str], following: Awaitable[None]) -> None:
        await following
        self._open.pop(key, None)
