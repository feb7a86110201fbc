"""Manifests: agents and workflows applied, read and deleted."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.faces.http.bodies import Endpoint, answer, edge, read_json
from agenthost.faces.http.callers import api_of
from agenthost.wire.bodies import AppliedBody, ApplyBody, ManifestsBody


class Manifests:
    """The handlers of `/manifests`, and of `/agents` and `/workflows`, which are the same by kind."""

    async def apply(self, request: Request) -> Response:
        body = await read_json(request, ApplyBody)
        applied, problems = await api_of(request).apply(body.texts, body.dry_run)
        return answer(AppliedBody(tuple(applied), tuple(problems)))

    def list(self, kind: str = "") -> Endpoint:
        async def listed(request: Request) -> Response:
            return answer(ManifestsBody(await api_of(request).manifests(kind or request.path_params["kind"])))

        return edge(listed)

    def delete(self, kind: str = "") -> Endpoint:
        async def deleted(request: Request) -> Response:
            await api_of(request).delete(kind or request.path_params["kind"], request.path_params["name"])
            return Response(status_code=204)

        return edge(deleted)


def routes() -> list[BaseRoute]:
    """The routes of manifests, below the API's root."""
    manifests = Manifests()
    return [
        Route("/manifests", edge(manifests.apply), methods=["POST"]),
        Route("/manifests/{kind}", manifests.list(), methods=["GET"]),
        Route("/manifests/{kind}/{name}", manifests.delete(), methods=["DELETE"]),
        Route("/agents", manifests.list("agent"), methods=["GET"]),
        Route("/agents/{name}", manifests.delete("agent"), methods=["DELETE"]),
        Route("/workflows", manifests.list("workflow"), methods=["GET"]),
        Route("/workflows/{name}", manifests.delete("workflow"), methods=["DELETE"]),
    ]
