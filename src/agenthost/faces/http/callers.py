"""Whose a request is, and the host as they may use it: what every handler works with."""

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request

from agenthost.core.access import Caller
from agenthost.core.administration import Administration
from agenthost.core.api import HostApi, Reception

_CALLER = "agenthost.caller"
_API = "agenthost.api"
_RECEPTION = "agenthost.reception"
_SECRET = "agenthost.session"

Scope = MutableMapping[str, Any]


def admit(scope: Scope, caller: Caller, api: HostApi, reception: Reception | None = None, session: str = "") -> None:
    """Note whose the request is, and the host that they may use. `session`: the secret of a browser's session."""
    scope[_CALLER] = caller
    scope[_API] = api
    scope[_RECEPTION] = reception
    scope[_SECRET] = session


def caller_of(request: Request) -> Caller:
    """Who asks."""
    return request.scope[_CALLER]


def api_of(request: Request) -> HostApi:
    """The host as whoever asks may use it: it refuses what they may not, and knows nothing of what isn't theirs."""
    return request.scope[_API]


def admin_of(request: Request) -> Administration:
    """People and keys as whoever asks may look after them."""
    return request.scope[_RECEPTION].admin(caller_of(request))


def session_of(request: Request) -> str:
    """The secret of the browser's session that a request came with, empty where it came with something else."""
    return request.scope.get(_SECRET, "")


def caller_in(scope: Scope) -> Caller | None:
    """Who asks, None on a path that needs no token."""
    return scope.get(_CALLER)
