"""The host itself: which it is, how it is, its models, the names of its secrets."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.errors import NotFound, nearest
from agenthost.faces.http.bodies import answer, edge, query, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.streams import Closing, EventStream, StreamSettings, probe_frames
from agenthost.wire.bodies import Names, ProbeBody, SecretBody
from agenthost.wire.offering import ABILITIES, MOST


@dataclass(frozen=True)
class System:
    """The handlers of what is about the host and not about work."""

    settings: StreamSettings
    closing: Closing

    async def info(self, request: Request) -> Response:
        return answer(await api_of(request).info())

    async def doctor(self, request: Request) -> Response:
        return answer(await api_of(request).doctor())

    async def models(self, request: Request) -> Response:
        return answer(await api_of(request).models(query(request, "provider", str, "")))

    async def model(self, request: Request) -> Response:
        return answer(await api_of(request).model(str(request.path_params["name"])))

    async def probe(self, request: Request) -> Response:
        body = await read_json(request, ProbeBody)
        items = api_of(request).probe(str(request.path_params["name"]), body.quick, body.context)
        return cast(Response, EventStream(items, probe_frames, self.settings, self.closing))

    async def ability(self, request: Request) -> Response:
        what = str(request.path_params["what"])
        if (known := ABILITIES.get(what)) is None:
            raise NotFound(f"there is no ability '{what}' of models. {nearest(what, list(ABILITIES))}")
        arguments = await read_json(request, known.arguments, MOST)
        abilities = await api_of(request).abilities(str(request.path_params["name"]))
        found = await getattr(abilities, what)(*arguments)
        if known.result is bytes:
            # Never shown by a browser as anything that could run in the page's origin.
            headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
            return Response(found, headers=headers, media_type="application/octet-stream")
        return answer(found)

    async def secrets(self, request: Request) -> Response:
        return answer(Names(tuple(await api_of(request).secrets())))

    async def set_secret(self, request: Request) -> Response:
        body = await read_json(request, SecretBody)
        await api_of(request).set_secret(str(request.path_params["name"]), body.value)
        return Response(status_code=204)


def routes(settings: StreamSettings, closing: Closing) -> list[BaseRoute]:
    """The routes of the host itself, below the API's root."""
    system = System(settings, closing)
    return [
        Route("/info", edge(system.info), methods=["GET"]),
        Route("/doctor", edge(system.doctor), methods=["GET"]),
        Route("/models", edge(system.models), methods=["GET"]),
        Route("/models/{name:path}/probe", edge(system.probe), methods=["POST"]),
        Route("/models/{name:path}/abilities/{what}", edge(system.ability), methods=["POST"]),
        Route("/models/{name:path}", edge(system.model), methods=["GET"]),
        Route("/secrets", edge(system.secrets), methods=["GET"]),
        Route("/secrets/{name}", edge(system.set_secret), methods=["PUT"]),
    ]
