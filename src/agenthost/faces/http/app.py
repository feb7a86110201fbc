"""The whole API as one ASGI application, wherever it is served."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from agenthost.core.api import Reception
from agenthost.core.errors import BadInput, NotFound
from agenthost.faces.http import events, files, manifests, people, system, tasks
from agenthost.faces.http.bodies import answer, problem
from agenthost.faces.http.guard import Guard, GuardSettings, Refusal
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.wire.bodies import ROOT, Health


class Face(Struct, frozen=True):
    """Another protocol on the same port: its routes, the beginnings of its paths, how its clients want errors, and which
    of its paths need no token."""

    routes: tuple[BaseRoute, ...]
    below: tuple[str, ...] = ()
    refusal: Refusal = problem
    public: frozenset[str] = frozenset()
    public_below: tuple[str, ...] = ()


Ready = Callable[[], str]
"""Empty where the host takes work; else why it doesn't yet, or any more."""


def _always() -> str:
    return ""


def routes(
    closing: Closing, streams: StreamSettings, faces: Sequence[Face] = (), ready: Ready = _always
) -> list[BaseRoute]:
    """Every route that is served."""
    below = [
        *tasks.routes(),
        *events.routes(streams, closing),
        *files.routes(),
        *manifests.routes(),
        *people.routes(),
        *system.routes(streams, closing),
    ]

    async def readiness(request: Request) -> Response:
        why = ready()
        return answer(Health(why or "ok"), 503 if why else 200)

    return [
        Route("/healthz", _alive, methods=["GET"]),
        Route("/readyz", readiness, methods=["GET"]),
        Mount(ROOT, routes=below),
        *(route for face in faces for route in face.routes),
    ]


def application(
    reception: Reception,
    closing: Closing,
    streams: StreamSettings,
    guard: GuardSettings | None = None,
    faces: Sequence[Face] = (),
    ready: Ready = _always,
) -> Guard:
    """The API over what `reception` gives. `closing` ends its streams when the host stops."""
    inner = Starlette(
        routes=routes(closing, streams, faces, ready), exception_handlers={HTTPException: _refused(faces)}
    )
    settings = guard or GuardSettings()
    open_to_all = msgspec.structs.replace(
        settings,
        public=settings.public.union(*(face.public for face in faces)),
        public_below=(*settings.public_below, *(path for face in faces for path in face.public_below)),
    )
    shapes = [(begin, face.refusal) for face in faces for begin in face.below]
    return Guard(inner, reception, open_to_all, shapes)


async def _alive(request: Request) -> Response:
    return answer(Health())


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
