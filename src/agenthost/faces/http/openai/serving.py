"""How answers are served: waited for, or streamed; what becomes of a task whose client has gone."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.openai.content import Taking
from agenthost.faces.http.openai.errors import body_of, fault_of
from agenthost.faces.http.openai.relay import STREAM_HEADERS, Pump, Relay
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.host.erasure.desk import Desk as ErasureDesk
from agenthost.host.shelf import Desk

T = TypeVar("T")

LEAVING = "x-agenthost-on-disconnect"
"""The header by which a client says what becomes of its task when it hangs up: `continue` (the default) or `cancel`."""


class Behind(Struct, frozen=True):
    """What of the host stands behind this face beside its tasks: what clients keep by it, deletion for good, and how many
    bytes a file may have that somebody gives."""

    shelf: Desk
    erasure: ErasureDesk
    upload: Callable[[], int]


class Serving(Struct, frozen=True):
    """The settings of streams, what tells them that the host stops, and what stands behind."""

    streams: StreamSettings
    closing: Closing
    behind: Behind

    def taking(self, request: Request) -> Taking:
        """Whose request it is, and where the files are that it names."""
        return Taking(api_of(request), caller_of(request), self.behind.shelf)

    async def wait(
        self, request: Request, api: HostApi, caller: Caller, tasks: Sequence[str], work: Coroutine[Any, Any, T]
    ) -> T:
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
            await leave(request, api, caller, tasks)
            raise ClientDisconnect
        if isinstance(result, AgentHostError):
            raise result
        return result

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        async with self.closing.bounding():
            return await work

    def stream(self, request: Request, api: HostApi, caller: Caller, tasks: Sequence[str], pump: Pump) -> Response:
        """The response that streams what `pump` puts."""

        async def left() -> None:
            await leave(request, api, caller, tasks)

        headers = [*STREAM_HEADERS, (b"x-agenthost-task", tasks[0].encode())]
        return cast(Response, Relay(pump, _fault, left, self.streams, self.closing, headers))


async def leave(request: Request, api: HostApi, caller: Caller, tasks: Sequence[str]) -> None:
    """The client has hung up: its tasks go on, unless it asked for their end."""
    if request.headers.get(LEAVING, "").strip().lower() != "cancel":
        return
    for task in tasks:
        try:
            await api.cancel(task, caller.person, "its client hung up")
        except BadInput:
            pass  # it has ended meanwhile


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them come to; where one fails, that is raised, and nobody waits for the others any more."""
    if len(works) == 1:
        return [await works[0]]
    done: list[T | AgentHostError] = []

    async def one(work: Coroutine[Any, Any, T]) -> T:
        result = await _caught(work)
        done.append(result)
        if isinstance(result, AgentHostError):
            raise _Failed
        return result

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(work)) for work in works]
    except* _Failed:
        raise next(each for each in done if isinstance(each, AgentHostError)) from None
    return [each.result() for each in running]


class _Failed(Exception):
    """One of several works has."""


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
