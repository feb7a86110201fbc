"""Whose a request is, and the host as they may use it: what every handler works with."""

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request

from agenthost.core.access import Caller
from agenthost.core.api import HostApi

_CALLER = "agenthost.caller"
_API = "agenthost.api"

Scope = MutableMapping[str, Any]


def admit(scope: Scope, caller: Caller, api: HostApi) -> None:
    """Note whose the request is, and the host that they may use."""
    scope[_CALLER] = caller
    scope[_API] = api


def caller_of(request: Request) -> Caller:
    """Who asks."""
    return request.scope[_CALLER]


def api_of(request: Request) -> HostApi:
    """The host as whoever asks may use it: it refuses what they may not, and knows nothing of what isn't theirs."""
    return request.scope[_API]


def caller_in(scope: Scope) -> Caller | None:
    """Who asks, None on a path that needs no token."""
    return scope.get(_CALLER)
