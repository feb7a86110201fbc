"""gRPC on a port of its own, for 1.0 and 0.3. The agent is the request's tenant (1.0), or `x-agenthost-agent` of the
metadata; none is the default one."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio
from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
from a2a.compat.v0_3.grpc_handler import CompatGrpcHandler
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.grpc_handler import GrpcHandler, GrpcServerCallContextBuilder
from a2a.types import a2a_pb2_grpc
from a2a.utils.errors import VersionNotSupportedError

from agenthost.core.access import Caller
from agenthost.core.api import Reception
from agenthost.core.errors import AgentHostError, Unauthenticated, Unavailable
from agenthost.faces.http.a2a.seats import Seat, take
from agenthost.faces.http.a2a.serving import MOST_BODY, Serving
from agenthost.faces.http.presence import Guest, Presence
from agenthost.host.settings import A2ASettings

AGENT = "x-agenthost-agent"
GRACE = 2.0

_Continue = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]
_Context = Any
_Seats = ContextVar[Seat]


class _Admitting(grpc.aio.ServerInterceptor):
    """Refuses who has no token that is known; all others take their seat with them, and keep it while their token counts."""

    def __init__(self, reception: Reception, presence: Presence, base: str, seats: _Seats) -> None:
        self._reception = reception
        self._presence = presence
        self._base = base
        self._seats = seats

    async def intercept_service(self, continuation: _Continue, handler_call_details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(handler_call_details)
        given = {str(key).lower(): str(value) for key, value in handler_call_details.invocation_metadata or ()}
        scheme, _, token = given.get("authorization", "").partition(" ")
        token = token if scheme.lower() == "bearer" else ""
        try:
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated("there is no token; send `authorization: Bearer TOKEN` in the metadata")
            caller = await self._reception.known(token, "")
        except AgentHostError as error:
            return handler and _refusing(handler, error.message)
        if caller.via.startswith("session:"):
            return handler and _refusing(handler, "a browser's session is no token; make a key")
        version = given.get("a2a-version", "")
        seat = Seat(
            self._reception.api(caller),
            caller,
            given.get(AGENT, ""),
            self._base,
            given.get("idempotency-key", ""),
            version,
        )
        self._seats.set(seat)
        return handler and self._while_known(handler, token, caller)

    def _while_known(self, handler: Any, token: str, caller: Caller) -> Any:
        """A handler of the same kind that is ended once its caller's token doesn't mean the same any more."""

        async def call(request: Any, context: _Context) -> Any:
            async with self._known(token, caller, context):
                return await handler.unary_unary(request, context)

        async def stream(request: Any, context: _Context) -> None:
            async with (
                self._known(token, caller, context),
                contextlib.aclosing(handler.unary_stream(request, context)) as items,
            ):
                async for item in items:
                    await context.write(item)

        return _like(handler, call, stream)

    @contextlib.asynccontextmanager
    async def _known(self, token: str, caller: Caller, context: _Context) -> AsyncGenerator[None]:
        here = asyncio.timeout(None)
        try:
            async with here:
                guest = Guest(token, "", caller, lambda: here.reschedule(0.0))
                self._presence.enter(guest)
                try:
                    yield
                finally:
                    self._presence.leave(guest)
        except TimeoutError:
            if here.expired():
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this token was taken back, or means less now")
            raise


class _Builder(GrpcServerCallContextBuilder):
    """Seats a call where the interceptor has put it."""

    def __init__(self, seats: _Seats, version: str) -> None:
        self._seats = seats
        self._version = version

    def build(self, context: _Context) -> ServerCallContext:
        """The call's context. Raises VersionNotSupportedError."""
        seat = self._seats.get()
        if seat.version and not f"{seat.version}.".startswith(f"{self._version}."):
            raise VersionNotSupportedError(f"A2A {seat.version} isn't served here; this service is {self._version}")
        return take(
            ServerCallContext(state={"headers": {"a2a-version": self._version}}),
            Seat(seat.api, seat.caller, seat.agent, seat.base, seat.key, self._version),
        )


def _refusing(handler: Any, message: str) -> Any:
    """A handler of the same kind that refuses."""

    async def refuse(request: Any, context: _Context) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)

    async def refuse_stream(request: Any, context: _Context) -> AsyncIterator[Any]:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)
        yield None

    return _like(handler, refuse, refuse_stream)


def _like(handler: Any, call: Any, stream: Any) -> Any:
    """A handler that takes and gives what `handler` does."""
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, handler.request_deserializer, handler.response_serializer)
    return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


@contextlib.asynccontextmanager
async def serve(
    serving: Serving, reception: Reception, settings: A2ASettings, base: str, group: asyncio.TaskGroup
) -> AsyncGenerator[None]:
    """Serve gRPC while the context is open. `base`: the URL that the host is reached at by HTTP, which cards and files
    name; `group` looks meanwhile who may still be here. Raises Unavailable where the port can't be had."""
    base = base.rstrip("/")
    seats: _Seats = ContextVar("agenthost.a2a.seat")
    sizes = [("grpc.max_receive_message_length", MOST_BODY), ("grpc.max_send_message_length", MOST_BODY)]
    presence = Presence(reception)
    server = grpc.aio.server(
        interceptors=[_Admitting(reception, presence, base, seats)], options=[*sizes, ("grpc.so_reuseport", 0)]
    )
    services: Any = a2a_pb2_grpc
    services.add_A2AServiceServicer_to_server(GrpcHandler(serving.handler, _Builder(seats, "1.0")), server)
    services = a2a_v0_3_pb2_grpc
    services.add_A2AServiceServicer_to_server(CompatGrpcHandler(serving.handler, _Builder(seats, "0.3")), server)
    place = f"{settings.grpc_host}:{settings.grpc_port}"
    try:
        server.add_insecure_port(place)
    except RuntimeError as error:
        raise Unavailable(f"gRPC can't listen on {place}; choose another [a2a] grpc-port") from error
    await server.start()
    watching = group.create_task(presence.watch(), name="grpc presence")
    try:
        yield
    finally:
        await server.stop(GRACE)
        watching.cancel()
