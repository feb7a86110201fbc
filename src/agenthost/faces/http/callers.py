"""Whose a request is, and the host as they may use it: what every handler works with."""

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request

from agenthost.core.access import Caller
from agenthost.core.administration import Administration
from agenthost.core.api import HostApi, Reception

CALLER = "agenthost.caller"
CAUSE = "agenthost.cause"
"""In the scope: the traceparent that a request came with, where it is one."""
TASK = "agenthost.task"
"""In the scope: the task that a request is about, where its path doesn't name it."""
_API = "agenthost.api"
_RECEPTION = "agenthost.reception"
_SECRET = "agenthost.session"

Scope = MutableMapping[str, Any]


def admit(scope: Scope, caller: Caller, api: HostApi, reception: Reception | None = None, session: str = "") -> None:
    """Note whose the request is, and the host that they may use. `session`: the secret of a browser's session."""
    scope[CALLER] = caller
    scope[_API] = api
    scope[_RECEPTION] = reception
    scope[_SECRET] = session


def caller_of(request: Request) -> Caller:
    """Who asks."""
    return request.scope[CALLER]


def about(request: Request, task: str) -> None:
    """Note the task that a request has made, or is about: the log of requests names it."""
    request.scope[TASK] = task


def known_caller(request: Request) -> Caller | None:
    """Who asks, on a path that may be open to whoever has no token."""
    return request.scope.get(CALLER)


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
    return scope.get(CALLER)
