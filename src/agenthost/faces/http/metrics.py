"""`/metrics`: the host's figures for Prometheus, for whoever manages the host."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.errors import Forbidden
from agenthost.faces.http.app import Face
from agenthost.faces.http.callers import known_caller
from agenthost.faces.http.operations import Answer, Operation

PATH = "/metrics"

Expose = Callable[[str], Awaitable[tuple[bytes, str]]]
"""The text for an `Accept` header, and its content type."""


def face(expose: Expose) -> Face:
    """The one operation."""

    async def metrics(request: Request) -> Response:
        caller = known_caller(request)
        # Nobody is known where the guard let them in for being on this machine.
        if caller is not None and not caller.may("manage"):
            raise Forbidden("you may not read the host's metrics: it needs the right 'manage'")
        body, kind = await expose(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    answers = (Answer(description="the figures, as the `Accept` header wants them written", media="text/plain"),)
    return Face(
        operations=(
            Operation(
                "GET",
                PATH,
                metrics,
                "getMetrics",
                "The host's figures for Prometheus",
                "system",
                right="manage",
                description="A setting (`[telemetry] metrics-open`) opens them to this machine without a token.",
                answers=answers,
                above="",
            ),
        )
    )
