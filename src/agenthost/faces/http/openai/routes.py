"""The routes under `/v1`."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from agenthost.faces.http.app import Face
from agenthost.faces.http.openai import chat, models, responses
from agenthost.faces.http.openai.errors import Fenced, Refused, refusal
from agenthost.faces.http.openai.serving import Serving
from agenthost.faces.http.streams import Closing, StreamSettings

ROOT = "/v1"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def face(streams: StreamSettings, closing: Closing) -> Face:
    """The face, as the server takes it."""
    return Face(tuple(routes(streams, closing)), (f"{ROOT}/",), refusal)


def routes(streams: StreamSettings, closing: Closing) -> list[BaseRoute]:
    """OpenAI's API, with full paths: below `/v1`, and an answer in its shape for what it has not."""
    serving = Serving(streams, closing)

    def served(handler: Callable[[Serving, Request], Awaitable[Response]]) -> Fenced:
        return Fenced(partial(handler, serving))

    known: list[BaseRoute] = [
        Route(f"{ROOT}/models", Fenced(models.list_models), methods=["GET"]),
        Route(f"{ROOT}/models/{{id:path}}", Fenced(models.get_model), methods=["GET"]),
        Route(f"{ROOT}/chat/completions", served(chat.create), methods=["POST"]),
        Route(f"{ROOT}/responses", served(responses.create), methods=["POST"]),
        Route(f"{ROOT}/responses/{{id}}", served(responses.get), methods=["GET"]),
        Route(f"{ROOT}/responses/{{id}}", served(responses.delete), methods=["DELETE"]),
        Route(f"{ROOT}/responses/{{id}}/cancel", served(responses.cancel), methods=["POST"]),
        Route(f"{ROOT}/responses/{{id}}/input_items", served(responses.input_items), methods=["GET"]),
    ]

    async def other(request: Request) -> Response:
        where = f"{request.method} {request.url.path}"
        allowed: set[str] = set()
        for route in known:
            if route.matches(request.scope)[0] != Match.NONE and isinstance(route, Route):
                allowed |= route.methods or set()
        if not allowed:
            return refusal(Refused(f"Unknown request URL: {where}.", None, "unknown_url", 404))
        response = refusal(Refused(f"Not allowed: {where}.", None, "method_not_allowed", 405))
        response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    return [*known, Route(ROOT + "/{path:path}", other, methods=list(_METHODS))]
