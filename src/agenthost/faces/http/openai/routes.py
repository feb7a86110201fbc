"""The routes under `/v1`."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from agenthost.faces.http.app import Face
from agenthost.faces.http.openai import chat, conversations, files, models, offers, responses
from agenthost.faces.http.openai.errors import Fenced, Refused, refusal
from agenthost.faces.http.openai.serving import Behind, Serving
from agenthost.faces.http.streams import Closing, StreamSettings

ROOT = "/v1"
Handler = Callable[[Serving, Request], Awaitable[Response]]

_KEPT: dict[str, dict[str, Handler]] = {
    "/conversations": {"POST": conversations.create},
    "/conversations/{id}": {"GET": conversations.get, "POST": conversations.update, "DELETE": conversations.delete},
    "/conversations/{id}/items": {"GET": conversations.list_items, "POST": conversations.add_items},
    "/conversations/{id}/items/{item}": {"GET": conversations.get_item, "DELETE": conversations.delete_item},
    "/embeddings": {"POST": offers.embeddings},
    "/moderations": {"POST": offers.moderations},
    "/images/generations": {"POST": offers.images},
    "/audio/speech": {"POST": offers.speech},
    "/audio/transcriptions": {"POST": offers.transcriptions},
    "/files": {"GET": files.list_files, "POST": files.create},
    "/files/{id}": {"GET": files.get, "DELETE": files.delete},
    "/files/{id}/content": {"GET": files.content},
}
"""What clients keep here, and what models' providers do, by path and method."""

_THERE = (
    "There are chat/completions, responses, conversations, files, models, embeddings, moderations, images/generations, "
    "audio/speech and audio/transcriptions below /v1."
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def face(streams: StreamSettings, closing: Closing, behind: Behind) -> Face:
    """The face, as the server takes it."""
    return Face(tuple(routes(Serving(streams, closing, behind))), (f"{ROOT}/",), refusal)


def routes(serving: Serving) -> list[BaseRoute]:
    """OpenAI's API, with full paths: below `/v1`, and an answer in its shape for what it has not."""

    def served(handler: Handler) -> Fenced:
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
        *(
            Route(ROOT + path, served(handler), methods=[method])
            for path, methods in _KEPT.items()
            for method, handler in methods.items()
        ),
    ]

    async def other(request: Request) -> Response:
        where = f"{request.method} {request.url.path}"
        allowed: set[str] = set()
        for route in known:
            if route.matches(request.scope)[0] != Match.NONE and isinstance(route, Route):
                allowed |= route.methods or set()
        if not allowed:
            return refusal(Refused(f"Unknown request URL: {where}. {_THERE}", None, "unknown_url", 404))
        response = refusal(Refused(f"Not allowed: {where}.", None, "method_not_allowed", 405))
        response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    return [*known, Route(ROOT + "/{path:path}", other, methods=list(_METHODS))]
