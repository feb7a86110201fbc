"""Signing in and out: forms and redirects, the session's cookie."""

import re
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from agenthost.core.errors import AgentHostError, BadInput, Temporary
from agenthost.faces.http.bodies import answer, edge, problem, read
from agenthost.faces.http.guard import need_csrf, session_cookie
from agenthost.faces.http.origins import need_own_page
from agenthost.faces.http.signin import pages
from agenthost.host.entry.entrance import Entrance, Session
from agenthost.host.entry.oidc import LASTS, Providers
from agenthost.wire.cookies import CSRF_HEADER, cookie_name, csrf_of
from agenthost.wire.problems import problem_of

_MOST = 16 * 1024
_GOAL = re.compile(r"/(?![/\\])[^\x00-\x20\\]{0,500}")


class Credentials(Struct, frozen=True, omit_defaults=True):
    """What signs a browser in: a link's `code`, or `person` and `password`. `goal`: a path of ours to go on to."""

    person: str = ""
    password: str = ""
    code: str = ""
    goal: str = ""


class Signed(Struct, frozen=True):
    """That it worked: who it is, and what goes along as `X-CSRF-Token` from now on."""

    person: str
    csrf: str


class SignIn:
    """The handlers."""

    def __init__(self, entrance: Entrance, providers: Providers, home: str) -> None:
        self._entrance = entrance
        self._providers = providers
        self._home = home
        self.page = edge(self._page, _refused)
        self.sign_in = edge(self._sign_in, _refused)
        self.sign_out = edge(self._sign_out, _refused)
        self.begin = edge(self._begin, _refused)
        self.finish = edge(self._finish, _refused)

    def refusal(self, error: AgentHostError, status: int | None = None) -> Response:
        """An error of the guard's: as a problem, which every client understands."""
        return problem(error, status)

    async def _page(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        if code and request.method == "GET":
            if not _by_hand(request):
                return pages.confirm(code)
            session = await self._entrance.by_link(code, _address(request))
            return await self._signed(request, session, RedirectResponse(self._home, 303))
        secret = session_cookie(request.headers, request.scope)
        person = await self._entrance.alive(secret) if secret else None
        if person is not None:
            return pages.done(person.name or person.id, csrf_of(secret))
        return pages.ask(_goal(request.query_params.get("goal", "")), self._providers.titles())

    async def _sign_in(self, request: Request) -> Response:
        # A page elsewhere must not sign a browser in as somebody of its choice.
        need_own_page(request.headers, request.scope["scheme"], _host(request), True)
        given = await _given(request)
        goal = _goal(given.goal) or self._home
        in_json = _is_json(request)
        try:
            if given.code:
                session = await self._entrance.by_link(given.code, _address(request))
            else:
                session = await self._entrance.by_password(given.person, given.password, _address(request))
        except AgentHostError as error:
            if in_json or given.code:
                raise
            status = 429 if isinstance(error, Temporary) else 401
            shown = pages.ask(_goal(given.goal), self._providers.titles(), error.message, given.person[:64], status)
            return _with_wait(shown, error)
        response = (
            answer(Signed(session.key.person, csrf_of(session.secret))) if in_json else RedirectResponse(goal, 303)
        )
        return await self._signed(request, session, response)

    async def _sign_out(self, request: Request) -> Response:
        need_own_page(request.headers, request.scope["scheme"], _host(request), True)
        secret = session_cookie(request.headers, request.scope)
        if secret:
            given = request.headers.get(CSRF_HEADER, "")
            if not given:
                given = dict(parse_qsl((await read(request, _MOST)).decode("utf-8", "replace"))).get("csrf", "")
            need_csrf(secret, given)
            await self._entrance.end(secret)
        quiet = "text/html" not in request.headers.get("accept", "")
        response = Response(status_code=204) if quiet else RedirectResponse("/sign-in", 303)
        _set(request, response, cookie_name(_secure(request), _port(request)), "", 0)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    async def _begin(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        back = f"{request.scope['scheme']}://{_host(request)}/sign-in/oidc/{name}/callback"
        begun = await self._providers.begin(name, back, _goal(request.query_params.get("goal", "")))
        response = RedirectResponse(begun.url, 303, {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
        # Lax: the browser brings it back from the provider's site.
        _set(request, response, _begun(request), begun.cookie, int(LASTS), "lax")
        return response

    async def _finish(self, request: Request) -> Response:
        cookie = request.cookies.get(_begun(request), "")
        name = str(request.path_params["name"])
        query = dict(request.query_params)
        try:
            arrived = await self._providers.finish(name, query, cookie, _address(request))
        except AgentHostError as error:
            response = _refused(request, error)
        else:
            response = await self._signed(request, arrived.session, pages.onward(arrived.goal or self._home))
        _set(request, response, _begun(request), "", 0, "lax")
        return response

    async def _signed(self, request: Request, session: Session, response: Response) -> Response:
        """Give the browser its new session, and end the one that it had."""
        before = session_cookie(request.headers, request.scope)
        if before:
            await self._entrance.end(before)
        lasts = int(self._entrance.settings.session_most)
        _set(request, response, cookie_name(_secure(request), _port(request)), session.secret, lasts)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


async def _given(request: Request) -> Credentials:
    body = await read(request, _MOST)
    try:
        if _is_json(request):
            return msgspec.json.decode(body, type=Credentials)
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
        return msgspec.convert(fields, Credentials)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadInput("the form can't be read; send `person` and `password`, or a link's `code`") from error


def _goal(text: str) -> str:
    """A path of our own; anything else would lead people elsewhere with our name on it."""
    return text if _GOAL.fullmatch(text) and not text.startswith("/sign-") else ""


def _by_hand(request: Request) -> bool:
    """Whether somebody opened a link themselves: not a page elsewhere, and not a browser that looks ahead."""
    headers = request.headers
    if "prefetch" in headers.get("sec-purpose", "") or "prefetch" in headers.get("purpose", ""):
        return False
    site = headers.get("sec-fetch-site")
    return site in ("none", "same-origin") if site else "referer" not in headers


def _refused(request: Request, error: AgentHostError) -> Response:
    status = 429 if isinstance(error, Temporary) and error.code == "too-many" else problem_of(error).status
    if "text/html" in request.headers.get("accept", ""):
        return _with_wait(pages.refused(error.message, status), error)
    return _with_wait(problem(error, status), error)


def _with_wait(response: Response, error: AgentHostError) -> Response:
    if isinstance(error, Temporary) and error.delay is not None:
        response.headers["Retry-After"] = str(max(1, round(error.delay)))
    return response


def _set(request: Request, response: Response, name: str, value: str, lasts: int, site: str = "strict") -> None:
    secure = "; Secure" if _secure(request) else ""
    response.headers.append(
        "Set-Cookie", f"{name}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite={site.capitalize()}{secure}"
    )


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _begun(request: Request) -> str:
    return cookie_name(_secure(request), _port(request)) + "-begun"


def _secure(request: Request) -> bool:
    return request.scope["scheme"] == "https"


def _port(request: Request) -> int:
    server = request.scope.get("server")
    return (server[1] or 0) if server else 0


def _host(request: Request) -> str:
    return request.headers.get("host", "").lower()


def _address(request: Request) -> str:
    client = request.scope.get("client")
    return client[0] if client else ""
