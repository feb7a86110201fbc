"""`subscriptions/listen`: one stream of changes, of the host's own and of what published servers tell."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import mcp.types as types
from mcp.server.subscriptions import ListenHandler

from agenthost.faces.http.mcp.published import Published, Publishers
from agenthost.faces.http.mcp.requests import Context


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


def listen(
    own: ListenHandler, publishers: Publishers
) -> Callable[[Context, types.SubscriptionsListenRequestParams], Awaitable[types.SubscriptionsListenResult]]:
    """The handler: the host acknowledges, then everybody's changes come, until the client goes."""

    async def run(ctx: Context, params: types.SubscriptionsListenRequestParams) -> types.SubscriptionsListenResult:
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(_relay(one, replace(ctx, session=_Quiet(ctx.session, begun))))  # pyright: ignore[reportArgumentType]
                for one in publishers.servers
                if one.has(ctx.method)
            ]
            try:
                return await own(replace(ctx, session=_Telling(ctx.session, begun)), params)  # pyright: ignore[reportArgumentType]
            finally:
                for task in beside:
                    task.cancel()

    return run


async def _relay(one: Published, ctx: Context) -> None:
    await one(ctx)
