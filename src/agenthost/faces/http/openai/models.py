"""`GET /v1/models`: agents and workflows, as models."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.errors import NotFound, nearest
from agenthost.faces.http.bodies import answer
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.openai.errors import no_model


async def list_models(request: Request) -> Response:
    """All of them, by name."""
    return answer({"object": "list", "data": [_model(name) for name in sorted(await _names(request))]})


async def get_model(request: Request) -> Response:
    """One of them."""
    name, names = str(request.path_params["id"]), await _names(request)
    if name not in names:
        raise no_model(name, NotFound(f"there is no agent or workflow of that name. {nearest(name, sorted(names))}"))
    return answer(_model(name))


async def _names(request: Request) -> set[str]:
    api = api_of(request)
    return {name for kind in ("agent", "workflow") for name in await api.manifests(kind)}


def _model(name: str) -> dict[str, Any]:
    # A manifest has no date of its own.
    return {"id": name, "object": "model", "created": 0, "owned_by": "agenthost"}
