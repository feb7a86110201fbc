"""Whose a request is, and the host as they may use it: what every handler works with."""

from collections.abc import AsyncIterator, MutableMapping
from typing import Any, cast

from starlette.requests import Request

from agenthost.core.access import Caller
from agenthost.core.administration import Administration
from agenthost.core.api import HostApi, LiveDelta, OpenQuestion, Order, Reception, TaskDetail
from agenthost.core.events import Recorded
from agenthost.core.grants import Always
from agenthost.core.parts import Message
from agenthost.core.tasks import TaskRow

CALLER = "agenthost.caller"
CAUSE = "agenthost.cause"
"""In the scope: the traceparent that a request came with, where it is one."""
TASK = "agenthost.task"
"""In the scope: a list with the task that a request is about, where its path doesn't name it."""
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
    # A scope may be a copy by now; what stands in it is the same.
    request.scope.get(TASK, [])[:] = [task]


def known_caller(request: Request) -> Caller | None:
    """Who asks, on a path that may be open to whoever has no token."""
    return request.scope.get(CALLER)


def api_of(request: Request) -> HostApi:
    """The host as whoever asks may use it: it refuses what they may not, and knows nothing of what isn't theirs."""
    found: HostApi = request.scope[_API]
    return cast("HostApi", _Noting(found, request)) if TASK in request.scope else found


def admin_of(request: Request) -> Administration:
    """People and keys as whoever asks may look after them."""
    return request.scope[_RECEPTION].admin(caller_of(request))


def session_of(request: Request) -> str:
    """The secret of the browser's session that a request came with, empty where it came with something else."""
    return request.scope.get(_SECRET, "")


def caller_in(scope: Scope) -> Caller | None:
    """Who asks, None on a path that needs no token."""
    return scope.get(CALLER)


class _Noting:
    """The host for one request, of which is noted which task it is about: the one that it started or spoke to, else the
    first that it looked at. So every protocol's requests tell it, whatever they call a task."""

    def __init__(self, api: HostApi, request: Request) -> None:
        self._api = api
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    async def start(self, order: Order) -> TaskRow:
        row = await self._api.start(order)
        about(self._request, row.id)
        return row

    async def say(self, task: str, message: Message) -> None:
        await self._api.say(task, message)
        about(self._request, task)

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        answered = await self._api.reply(task, text, question, by, via, always)
        about(self._request, task)
        return answered

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None:
        await self._api.cancel(task, by, reason)
        about(self._request, task)

    async def task(self, task: str) -> TaskDetail:
        found = await self._api.task(task)
        self._looked_at(task)
        return found

    def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        self._looked_at(task)
        return self._api.follow(task, after, tree)

    def _looked_at(self, task: str) -> None:
        if not self._request.scope[TASK]:
            about(self._request, task)
