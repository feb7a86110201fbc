"""`/metrics`: the host's figures for Prometheus, for whoever manages the host."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.errors import Forbidden
from agenthost.faces.http.bodies import edge
from agenthost.faces.http.callers import known_caller

PATH = "/metrics"

Expose = Callable[[str], Awaitable[tuple[bytes, str]]]
"""The text for an `Accept` header, and its content type."""


def routes(expose: Expose) -> list[BaseRoute]:
    """The one route."""

    async def metrics(request: Request) -> Response:
        caller = known_caller(request)
        # Nobody is known where the guard let them in for being on this machine.
        if caller is not None and not caller.may("manage"):
            raise Forbidden("you may not read the host's metrics: it needs the right 'manage'")
        body, kind = await expose(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return [Route(PATH, edge(metrics), methods=["GET"])]
