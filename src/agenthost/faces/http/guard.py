"""What every request passes before a face sees it: whose it is, and whether it comes from where it says.

A page in a browser can send requests to a host on its user's own machine: so the name in `Host` must be one of ours,
and an `Origin` must be the same or named in the settings (DNS rebinding, cross-site requests). A browser's session comes
in a cookie, which browsers send by themselves: so what it changes must come from our own page, with a header that no
other page can know.
"""

import hmac
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agenthost.core.access import Caller
from agenthost.core.administration import Administration
from agenthost.core.api import HostApi, Linked, Reception
from agenthost.core.errors import AgentHostError, Forbidden, NotFound, Temporary, Unauthenticated, Unavailable
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.callers import CAUSE, admit
from agenthost.faces.http.origins import Network, believe, foreign_origin, host_of, need_own_page
from agenthost.faces.http.presence import ANSWERING, STAY, Guest, Presence, always
from agenthost.faces.http.protocol import LOCAL
from agenthost.faces.http.streams import ABORT
from agenthost.wire.bodies import ROOT
from agenthost.wire.cookies import CSRF_HEADER, cookie_name, csrf_of
from agenthost.wire.tries import Tries, network_of, too_many

_READING = ("GET", "HEAD", "OPTIONS")

Refusal = Callable[[AgentHostError, int | None], Response]
"""Writes an error in the shape that the clients of a path expect; with a status where HTTP has a closer word."""


class GuardSettings(msgspec.Struct, frozen=True):
    """`names`: host names (without port) that this host has besides those of loopback. `origins`: of pages elsewhere
    that may use it. `public`: paths that need no token; `public_ends`: beginning and end of such, with one name between them. `wrong_tokens`: how many
    wrong tokens an address may send within a minute before it has to wait: a token of 32 random bytes isn't guessed, but
    trying costs the host work. `proxies`: which are believed who is behind them. `public_here`: paths that need no token
    from this machine, and not through a proxy."""

    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    public: frozenset[str] = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
    public_below: tuple[str, ...] = (f"{ROOT}/links/",)
    public_ends: tuple[tuple[str, str], ...] = ()
    wrong_tokens: int = 1000
    proxies: tuple[Network, ...] = ()
    public_here: frozenset[str] = frozenset()


class Everybody:
    """The reception of a host that is served on its local socket alone: there is nobody else to know."""

    def __init__(self, api: HostApi, admin: Administration | None = None) -> None:
        self._api = api
        self._admin = admin

    async def known(self, token: str, address: str) -> Caller:
        raise Unauthenticated("this host is served on its local socket alone")

    def api(self, caller: Caller) -> HostApi:
        return self._api

    def admin(self, caller: Caller) -> Administration:
        if self._admin is None:
            raise Unavailable("this host looks after no people; ask the one that `agenthost up` started")
        return self._admin

    async def linked(self, secret: str, address: str) -> tuple[Caller, Linked]:
        raise NotFound("links are served by a host that has a port")

    def heed(self, changed: Callable[[], None]) -> None:
        """Nobody is known here who could be forgotten."""


class Guard:
    """Stands before `app`. `shapes`: how errors are written, by the beginning of a path."""

    def __init__(
        self, app: ASGIApp, reception: Reception, settings: GuardSettings, shapes: Collection[tuple[str, Refusal]] = ()
    ) -> None:
        self._app = app
        self._reception = reception
        self._settings = settings
        self._shapes = tuple(shapes)
        self._wrong = Tries(settings.wrong_tokens, 60.0)
        self._owner = Caller()
        self.presence = Presence(reception)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope.get(LOCAL):
            admit(scope, self._owner, self._reception.api(self._owner), self._reception)
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope.setdefault("scheme", "http")  # optional in ASGI
        guest: Guest | None = None
        try:
            believe(scope, headers, self._settings.proxies)
            host = host_of(headers, self._settings.names)
            origin = foreign_origin(headers, scope["scheme"], host, self._settings.origins)
            if scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
                await _allowed(headers)(scope, receive, _open_to(origin, send))
                return
            if origin:
                send = _open_to(origin, send)
            if not self._is_public(scope, headers):
                guest = await self._admit(scope, headers, host)
        except AgentHostError as error:
            await self._refuse(scope, error)(scope, receive, send)
            return
        if guest is None:
            await self._app(scope, receive, send)
            return
        scope[STAY] = self.presence, guest
        self.presence.enter(guest)
        try:
            await self._app(scope, receive, send)
        finally:
            self.presence.leave(guest)

    def _is_public(self, scope: Scope, headers: Headers) -> bool:
        path, settings = scope["path"], self._settings
        if path in settings.public_here and "authorization" not in headers:
            address = scope["client"][0] if scope.get("client") else ""
            return _is_here(address) and not any(name in headers for name in _FORWARDED)
        if path in settings.public or path.startswith(settings.public_below):
            return True
        return any(_is_between(path, begin, end) for begin, end in settings.public_ends)

    def _refuse(self, scope: Scope, error: AgentHostError) -> Response:
        shape = next((shape for begin, shape in self._shapes if scope["path"].startswith(begin)), problem)
        limited = isinstance(error, Temporary)
        response = shape(error, 429 if limited else None)
        if isinstance(error, Unauthenticated):
            # RFC 6750, 3.1: a token that came and is none is said to be that.
            wrong = ', error="invalid_token"' if "authorization" in Headers(scope=scope) else ""
            response.headers["WWW-Authenticate"] = f'Bearer realm="agenthost"{wrong}'
        if limited and error.delay is not None:
            response.headers["Retry-After"] = str(max(1, round(error.delay)))
        return response

    async def _admit(self, scope: Scope, headers: Headers, host: str) -> Guest:
        address = scope["client"][0] if scope.get("client") else ""
        kind, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        session = "" if token else session_cookie(headers, scope)
        if session:
            need_own_page(headers, scope["scheme"], host, scope["method"] not in _READING)
        if not token and not session:
            raise Unauthenticated(
                "there is no token; send `Authorization: Bearer TOKEN` (the owner's is in the home, file `token`)"
            )
        if session:
            caller = await self._reception.known(session, address)
        else:
            caller = await self._known(token, address, scope["path"])
        if caller.via.startswith("session:") != bool(session):
            raise Unauthenticated("a session comes in its cookie and a token doesn't; send a token as `Authorization`")
        if session and scope["method"] not in _READING:
            need_csrf(session, headers.get(CSRF_HEADER, ""))
        if cause := scope.get(CAUSE, ""):
            caller = msgspec.structs.replace(caller, caused=cause)
        admit(scope, caller, self._reception.api(caller), self._reception, session)
        return Guest(token or session, address, caller, scope.get(ABORT, _nothing), scope.get(ANSWERING, always))

    async def _known(self, secret: str, address: str, path: str) -> Caller:
        """Whose a token is. Who sent too many wrong ones has to wait; a right one is served all the same."""
        try:
            return await self._reception.known(secret, address)
        except Unauthenticated:
            network = network_of(address)
            if (wait := self._wrong.wait(network)) > 0:
                raise too_many("too many wrong tokens came from your address", wait) from None
            self._wrong.count(network)
            structlog.get_logger(__name__).warning("unknown token", address=address, path=path)
            raise


_TOLD = ", ".join(
    (
        *("etag", "location", "retry-after", "allow", "www-authenticate", "idempotency-replayed", "x-request-id"),
        *("accept-ranges", "content-range", "content-length", "content-disposition", "link"),
        *("x-agenthost-task", "x-should-retry", "mcp-session-id", "a2a-version"),
    )
).encode()
"""Which headers of an answer a page elsewhere may read besides those that every page may."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def _is_here(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _is_between(path: str, begin: str, end: str) -> bool:
    """Whether a path is a beginning and an end with one name between them."""
    if len(path) <= len(begin) + len(end) or not path.startswith(begin) or not path.endswith(end):
        return False
    return "/" not in path[len(begin) : -len(end)]


def _nothing() -> None:
    return None


def need_csrf(session: str, given: str) -> None:
    """That a request with a session knows what only our own page can know. Raises Forbidden."""
    if not hmac.compare_digest(given.encode(), csrf_of(session).encode()):
        error = Forbidden("with a session this needs the header X-CSRF-Token; `/api/v1/me` tells it as `csrf`")
        error.code = "csrf"
        raise error


def session_cookie(headers: Headers, scope: Scope) -> str:
    """The secret of a browser's session, empty where there is none."""
    server = scope.get("server")
    name = cookie_name(scope["scheme"] == "https", (server[1] or 0) if server else 0)
    # Two of one name: somebody else set one of them.
    found = [
        value.strip()
        for line in headers.getlist("cookie")
        for key, _, value in (pair.partition("=") for pair in line.split(";"))
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 else ""


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
                (b"access-control-expose-headers", _TOLD),
            ]
            message["headers"] = [*message.get("headers", ()), *told]
        await send(message)

    return sending


def address_of(request: Request) -> str:
    """Where a request comes from, as far as the connection tells."""
    client: Any = request.scope.get("client")
    return client[0] if client else ""
