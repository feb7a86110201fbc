"""The whole API as one ASGI application, wherever it is served."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput, NotFound
from agenthost.faces.http import events, files, manifests, system, tasks
from agenthost.faces.http.bodies import answer, problem
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.wire.bodies import ROOT, Health


def application(api: HostApi, closing: Closing, streams: StreamSettings) -> Starlette:
    """The API over `api`. `closing` ends its streams when the host stops."""
    below = [
        *tasks.routes(api),
        *events.routes(api, streams, closing),
        *files.routes(api),
        *manifests.routes(api),
        *system.routes(api, streams, closing),
    ]
    return Starlette(
        routes=[Route("/healthz", _alive, methods=["GET"]), Mount(ROOT, routes=below)],
        exception_handlers={HTTPException: _refused},
    )


async def _alive(request: Request) -> Response:
    return answer(Health())


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        return problem(NotFound(f"the API has no path '{where}'; is this AgentHost of the version that you expect?"))
    refused = BadInput(f"'{where}' is refused: {error.detail}")
    response = problem(refused, error.status_code)
    response.headers.update(error.headers or {})
    return response
