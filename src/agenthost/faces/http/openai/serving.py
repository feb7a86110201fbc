"""How answers are served: waited for, or streamed; what becomes of a task whose client has gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.faces.http.openai.errors import body_of, fault_of
from agenthost.faces.http.openai.relay import STREAM_HEADERS, Pump, Relay
from agenthost.faces.http.streams import Closing, StreamSettings

T = TypeVar("T")

LEAVING = "x-agenthost-on-disconnect"
"""The header by which a client says what becomes of its task when it hangs up: `continue` (the default) or `cancel`."""


class Serving(Struct, frozen=True):
    """The settings of streams, and what tells them that the host stops."""

    streams: StreamSettings
    closing: Closing

    async def wait(self, request: Request, api: HostApi, caller: Caller, task: str, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to. Where the client hangs up first, nobody waits for it any more (ClientDisconnect)."""
        result: T | AgentHostError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(_gone(request))
                result = await _caught(self._bounded(work))
                watching.cancel()
        except* _Left:
            pass
        if result is None:
            await leave(request, api, caller, task)
            raise ClientDisconnect
        if isinstance(result, AgentHostError):
            raise result
        return result

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        async with self.closing.bounding():
            return await work

    def stream(self, request: Request, api: HostApi, caller: Caller, task: str, pump: Pump) -> Response:
        """The response that streams what `pump` puts."""

        async def left() -> None:
            await leave(request, api, caller, task)

        headers = [*STREAM_HEADERS, (b"x-agenthost-task", task.encode())]
        return cast(Response, Relay(pump, _fault, left, self.streams, self.closing, headers))


async def leave(request: Request, api: HostApi, caller: Caller, task: str) -> None:
    """The client has hung up: its task goes on, unless it asked for its end."""
    if request.headers.get(LEAVING, "").strip().lower() == "cancel":
        try:
            await api.cancel(task, caller.person, "its client hung up")
        except BadInput:
            pass  # it has ended meanwhile


class _Left(Exception):
    """The client has hung up."""


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    raise _Left


async def _caught(work: Coroutine[Any, Any, T]) -> T | AgentHostError:
    # Raised inside a task group it would come out wrapped.
    try:
        return await work
    except AgentHostError as error:
        return error


def _fault(error: AgentHostError) -> bytes:
    return b"data: " + body_of(fault_of(error)[1]) + b"\n\n"
