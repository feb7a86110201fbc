"""The whole API as one ASGI application, wherever it is served."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from agenthost.core.errors import BadInput, NotFound
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.description import described
from agenthost.faces.http.guard import Guard, GuardSettings, Refusal
from agenthost.faces.http.keyed import Keyed
from agenthost.faces.http.limits import Limited
from agenthost.faces.http.operations import Operation, routes_of
from agenthost.faces.http.rest.table import operations
from agenthost.faces.http.site import Site
from agenthost.faces.http.switchboard import Switchboard


def _none(site: Site) -> tuple[Operation, ...]:
    """Nothing is streamed."""
    return ()


class Face(Struct, frozen=True):
    """Another protocol on the same port: its routes, the beginnings of its paths, how its clients want errors, and which
    of its paths need no token. `operations` are served like routes, and stand in the API's description; `streamed`
    gives those that must know of the site, for their streams."""

    routes: tuple[BaseRoute, ...] = ()
    below: tuple[str, ...] = ()
    refusal: Refusal = problem
    public: frozenset[str] = frozenset()
    public_below: tuple[str, ...] = ()
    public_ends: tuple[tuple[str, str], ...] = ()
    operations: tuple[Operation, ...] = ()
    streamed: Callable[[Site], tuple[Operation, ...]] = _none


def table(site: Site, faces: Sequence[Face] = ()) -> tuple[Operation, ...]:
    """Every operation that is served and described."""
    found = (*operations(site), *(each for face in faces for each in (*face.operations, *face.streamed(site))))
    return (*found, *described(found))


def application(site: Site, guard: GuardSettings | None = None, faces: Sequence[Face] = ()) -> Guard:
    """The API of a site."""
    known = table(site, faces)
    routes = [
        *routes_of(known, [Keyed(site.keeping, site.limits)]),
        *(route for face in faces for route in face.routes),
    ]
    inner = Starlette(exception_handlers={HTTPException: _refused(faces)})
    inner.router = Switchboard(routes)
    settings = guard or GuardSettings()
    open_to_all = msgspec.structs.replace(
        settings,
        public=settings.public.union(*(face.public for face in faces)),
        public_below=(*settings.public_below, *(path for face in faces for path in face.public_below)),
        public_ends=(*settings.public_ends, *(ends for face in faces for ends in face.public_ends)),
    )
    shapes = [(begin, face.refusal) for face in faces for begin in face.below]
    return Guard(Limited(inner, site.limits, shapes), site.reception, open_to_all, shapes)


def _refused(faces: Sequence[Face]) -> Any:
    shapes = [(begin, face.refusal) for face in faces for begin in face.below]

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        where = f"{request.method} {request.url.path}"
        shape = next((shape for begin, shape in shapes if request.url.path.startswith(begin)), problem)
        if error.status_code == 404:
            told: BadInput = NotFound(
                f"the API has no path '{where}'; is this AgentHost of the version that you expect?"
            )
        else:
            told = BadInput(f"'{where}' is refused: {error.detail}")
        response = shape(told, error.status_code)
        response.headers.update(error.headers or {})
        return response

    return refused
