"""How much one person may ask for at once and in a time: who asks for more gets 429 and when to come again.

The owner isn't bounded, and neither is the local socket: who has those can stop the host anyway.
"""

import time
from collections.abc import Awaitable, Callable, Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agenthost.core.access import OWNER, Caller
from agenthost.core.errors import AgentHostError, Temporary
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.callers import caller_in
from agenthost.faces.http.guard import Refusal
from agenthost.faces.http.site import Limits

_BURST = 10.0
"""Seconds' worth of requests that may come at once."""
_REMEMBERED = 10_000


class _Use:
    """What one person has going on. `left`: requests that they may make now, as of `at`."""

    def __init__(self, left: float, at: float) -> None:
        self.left = left
        self.at = at
        self.requests = 0
        self.streams = 0


class Limited:
    """Stands before `app`, behind the guard. `shapes`: how errors are written, by the beginning of a path."""

    def __init__(
        self, app: ASGIApp, limits: Callable[[], Limits], shapes: Collection[tuple[str, Refusal]] = ()
    ) -> None:
        self._app = app
        self._limits = limits
        self._shapes = tuple(shapes)
        self._uses: dict[str, _Use] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        caller = caller_in(scope)
        if caller is None or caller.person == OWNER:
            return self._app(scope, receive, send)
        return self._bounded(caller, scope, receive, send)

    async def _bounded(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._limits()
        use = self._use(f"{caller.namespace}/{caller.person}", limits)
        refused = _refused(use, limits)
        if refused is not None:
            await self._shape(scope["path"])(refused, 429)(scope, receive, send)
            return
        await self._counted(use, limits, scope, receive, send)

    async def _counted(self, use: _Use, limits: Limits, scope: Scope, receive: Receive, send: Send) -> None:
        streaming = False

        async def sending(message: Message) -> None:
            nonlocal streaming
            if not streaming and message["type"] == "http.response.start" and _is_stream(message):
                streaming = True
                use.requests -= 1
                use.streams += 1
            await send(message)

        use.requests += 1
        try:
            await self._app(scope, receive, sending)
        finally:
            if streaming:
                use.streams -= 1
            else:
                use.requests -= 1

    def _use(self, person: str, limits: Limits) -> _Use:
        now = time.monotonic()
        use = self._uses.get(person)
        if use is None:
            if len(self._uses) >= _REMEMBERED:
                self._uses = {who: each for who, each in self._uses.items() if each.requests or each.streams}
            use = self._uses[person] = _Use(limits.rate * _BURST, now)
        use.left = min(max(1.0, limits.rate * _BURST), use.left + (now - use.at) * limits.rate)
        use.at = now
        return use

    def _shape(self, path: str) -> Refusal:
        return next((shape for begin, shape in self._shapes if path.startswith(begin)), problem)


def _refused(use: _Use, limits: Limits) -> AgentHostError | None:
    if limits.requests and use.requests >= limits.requests:
        return _too_many(f"{use.requests} requests of yours are being answered; wait for some of them", 1.0)
    if limits.streams and use.streams >= limits.streams:
        return _too_many(f"{use.streams} streams of yours are open; close some of them", 1.0)
    if limits.rate:
        if use.left < 1.0:
            return _too_many(f"you may make {limits.rate:g} requests a second", (1.0 - use.left) / limits.rate)
        use.left -= 1.0
    return None


def _too_many(why: str, delay: float) -> Temporary:
    return Temporary(why, code="too-many", delay=max(1.0, delay))


def _is_stream(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"])
