"""gRPC on a port of its own, for 1.0 and 0.3. The agent is the request's tenant (1.0), or `x-agenthost-agent` of the
metadata; none is the default one."""

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

from agenthost.core.api import Reception
from agenthost.core.errors import AgentHostError, Unauthenticated, Unavailable
from agenthost.faces.http.a2a.seats import Seat, take
from agenthost.faces.http.a2a.serving import MOST_BODY, Serving
from agenthost.host.settings import A2ASettings

AGENT = "x-agenthost-agent"
GRACE = 2.0

_Continue = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]
_Context = Any
_Seats = ContextVar[Seat]


class _Admitting(grpc.aio.ServerInterceptor):
    """Refuses who has no token that is known; all others take their seat with them."""

    def __init__(self, reception: Reception, base: str, seats: _Seats) -> None:
        self._reception = reception
        self._base = base
        self._seats = seats

    async def intercept_service(self, continuation: _Continue, handler_call_details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(handler_call_details)
        given = {str(key).lower(): str(value) for key, value in handler_call_details.invocation_metadata or ()}
        scheme, _, token = given.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated("there is no token; send `authorization: Bearer TOKEN` in the metadata")
            caller = await self._reception.known(token, "")
        except AgentHostError as error:
            return handler and _refusing(handler, error.message)
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
        return handler


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

    make: Any = (
        grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
    )
    refusing: Any = refuse_stream if handler.response_streaming else refuse
    return make(refusing, handler.request_deserializer, handler.response_serializer)


@contextlib.asynccontextmanager
async def serve(serving: Serving, reception: Reception, settings: A2ASettings, base: str) -> AsyncGenerator[None]:
    """Serve gRPC while the context is open. `base`: the URL that the host is reached at by HTTP, which cards and files
    name. Raises Unavailable where the port can't be had."""
    base = base.rstrip("/")
    seats: _Seats = ContextVar("agenthost.a2a.seat")
    sizes = [("grpc.max_receive_message_length", MOST_BODY), ("grpc.max_send_message_length", MOST_BODY)]
    server = grpc.aio.server(
        interceptors=[_Admitting(reception, base, seats)], options=[*sizes, ("grpc.so_reuseport", 0)]
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
    try:
        yield
    finally:
        await server.stop(GRACE)
