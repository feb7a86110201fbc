"""What every request passes before a face sees it: whose it is, and whether it comes from where it says.

A page in a browser can send requests to a host on its user's own machine: so the name in `Host` must be one of ours,
and an `Origin` must be the same or named in the settings (DNS rebinding, cross-site requests).
"""

import time
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agenthost.core.access import Caller
from agenthost.core.api import HostApi, Linked, Reception
from agenthost.core.errors import AgentHostError, Forbidden, NotFound, Temporary, Unauthenticated
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.callers import admit
from agenthost.faces.http.protocol import LOCAL
from agenthost.wire.bodies import ROOT

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

Refusal = Callable[[AgentHostError, int | None], Response]
"""Writes an error in the shape that the clients of a path expect; with a status where HTTP has a closer word."""


class GuardSettings(msgspec.Struct, frozen=True):
    """`names`: host names (without port) that this host has besides those of loopback. `origins`: of pages elsewhere
    that may use it. `public`: paths that need no token; `public_ends`: beginning and end of such. `wrong_tokens`: how many wrong tokens an address may send
    within a minute before it has to wait: a token of 32 random bytes isn't guessed, but trying costs the host work."""

    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    public: frozenset[str] = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
    public_below: tuple[str, ...] = (f"{ROOT}/links/",)
    public_ends: tuple[tuple[str, str], ...] = ()
    wrong_tokens: int = 1000


class Everybody:
    """The reception of a host that is served on its local socket alone: there is nobody else to know."""

    def __init__(self, api: HostApi) -> None:
        self._api = api

    async def known(self, token: str, address: str) -> Caller:
        raise Unauthenticated("this host is served on its local socket alone")

    def api(self, caller: Caller) -> HostApi:
        return self._api

    async def linked(self, secret: str, address: str) -> tuple[Caller, Linked]:
        raise NotFound("links are served by a host that has a port")


class Guard:
    """Stands before `app`. `shapes`: how errors are written, by the beginning of a path."""

    def __init__(
        self, app: ASGIApp, reception: Reception, settings: GuardSettings, shapes: Collection[tuple[str, Refusal]] = ()
    ) -> None:
        self._app = app
        self._reception = reception
        self._settings = settings
        self._shapes = tuple(shapes)
        self._wrong: dict[str, list[float]] = {}
        self._owner = Caller()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope.get(LOCAL):
            admit(scope, self._owner, self._reception.api(self._owner))
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            origin = self._origin(headers)
            if scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
                await _allowed(headers)(scope, receive, _open_to(origin, send))
                return
            if origin:
                send = _open_to(origin, send)
            if not self._is_public(scope["path"]):
                caller = await self._known(scope, headers)
                admit(scope, caller, self._reception.api(caller))
        except AgentHostError as error:
            await self._refuse(scope, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        settings = self._settings
        if path in settings.public or path.startswith(settings.public_below):
            return True
        return any(path.startswith(begin) and path.endswith(end) for begin, end in settings.public_ends)

    def _refuse(self, scope: Scope, error: AgentHostError) -> Response:
        shape = next((shape for begin, shape in self._shapes if scope["path"].startswith(begin)), problem)
        limited = isinstance(error, Temporary)
        response = shape(error, 429 if limited else None)
        if isinstance(error, Unauthenticated):
            response.headers["WWW-Authenticate"] = 'Bearer realm="agenthost"'
        if limited and error.delay is not None:
            response.headers["Retry-After"] = str(max(1, round(error.delay)))
        return response

    def _origin(self, headers: Headers) -> str:
        """The origin of a page elsewhere that may use the host; empty for one of our own or none. Raises Forbidden."""
        host = headers.get("host", "")
        name = _name(host)
        if name not in LOOPBACK and name not in self._settings.names:
            raise _refused("host-header", f"this host has no name '{name}'; add it to `hosts` under [http] if it has")
        origin = headers.get("origin", "")
        if not origin or origin.partition("://")[2] == host:
            return ""
        if origin in self._settings.origins:
            return origin
        raise _refused(
            "origin", f"pages of {origin} may not use this host; add it to `origins` under [http] if they may"
        )

    async def _known(self, scope: Scope, headers: Headers) -> Caller:
        address = scope["client"][0] if scope.get("client") else ""
        kind, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        if not token:
            raise Unauthenticated(
                "there is no token; send `Authorization: Bearer TOKEN` (the owner's is in the home, file `token`)"
            )
        try:
            return await self._reception.known(token, address)
        except Unauthenticated:
            self._check_patience(address)
            self._wrong.setdefault(address, []).append(time.monotonic())
            structlog.get_logger(__name__).warning("unknown token", address=address, path=scope["path"])
            raise

    def _check_patience(self, address: str) -> None:
        """Raises Temporary for an address that has sent too many wrong tokens; a right one is served all the same."""
        if not self._wrong:
            return
        since = time.monotonic() - 60
        for known in [known for known, times in self._wrong.items() if times[-1] < since]:
            del self._wrong[known]
        times = self._wrong.get(address, [])
        if len(times) >= self._settings.wrong_tokens and times[-self._settings.wrong_tokens] > since:
            raise Temporary("too many wrong tokens came from your address; wait a minute", code="too-many", delay=60)
        del times[: -self._settings.wrong_tokens]


def _name(host: str) -> str:
    """The name in a `Host` header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _refused(code: str, message: str) -> Forbidden:
    error = Forbidden(message)
    error.code = code
    return error


def _allowed(headers: Headers) -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": headers.get(
                "access-control-request-headers", "authorization, content-type"
            ),
            "Access-Control-Max-Age": "600",
        },
    )


def _open_to(origin: str, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            told: list[tuple[bytes, bytes]] = [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"vary", b"Origin"),
                (b"access-control-expose-headers", b"etag, location, retry-after, link"),
            ]
            message["headers"] = [*message.get("headers", ()), *told]
        await send(message)

    return sending


def address_of(request: Request) -> str:
    """Where a request comes from, as far as the connection tells."""
    client: Any = request.scope.get("client")
    return client[0] if client else ""
