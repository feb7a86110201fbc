"""Whose request it is and which agent it is for, in the SDK's call context."""

from a2a.auth.user import User
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.server.routes.common import ServerCallContextBuilder
from a2a.utils.constants import VERSION_HEADER
from msgspec import Struct
from starlette.requests import Request

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.faces.http.callers import api_of, caller_of

_SEAT = "agenthost.seat"


class Seat(Struct, frozen=True):
    """One request's place: the host as its caller may use it, the agent that the address names (empty: the default
    one), the URL that the host is reached at, the key that makes a repetition count once."""

    api: HostApi
    caller: Caller
    agent: str
    base: str
    key: str = ""
    version: str = "1.0"


class CallerUser(User):
    """A caller as the SDK knows one."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return self._caller.person


def seat_of(context: ServerCallContext) -> Seat:
    """The seat that was taken for a call."""
    return context.state[_SEAT]


def take(context: ServerCallContext, seat: Seat) -> ServerCallContext:
    """Take the seat for a call."""
    context.state[_SEAT] = seat
    context.user = CallerUser(seat.caller)
    return context


class SeatBuilder(ServerCallContextBuilder):
    """Seats a request by HTTP. `url`: where the host is reached, empty for where the request says it is."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def build(self, request: Request) -> ServerCallContext:
        """The call's context."""
        # The SDK looks for the version in the headers alone; the specification (3.6.1) allows the query as well.
        headers = dict(request.headers)
        asked = request.query_params.get(VERSION_HEADER)
        if asked and VERSION_HEADER.lower() not in headers:
            headers[VERSION_HEADER.lower()] = asked
        extensions = get_requested_extensions(request.headers.getlist(HTTP_EXTENSION_HEADER))
        context = ServerCallContext(state={"headers": headers}, requested_extensions=extensions)
        seat = Seat(
            api_of(request),
            caller_of(request),
            str(request.path_params.get("agent", "")),
            base_of(request, self._url),
            request.headers.get("idempotency-key", ""),
            headers.get(VERSION_HEADER.lower()) or "0.3",
        )
        return take(context, seat)


def base_of(request: Request, url: str) -> str:
    """The URL that the host is reached at, without a slash at its end."""
    return url or str(request.base_url).rstrip("/")
