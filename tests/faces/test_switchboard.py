"""The switchboard finds the route that trying them all would find."""

from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.testclient import TestClient

from agenthost.faces.http.switchboard import Switchboard

PATHS = (
    "/healthz",
    "/v1/models",
    "/v1/models/{id:path}",
    "/v1/responses/{id}",
    "/v1/{path:path}",
    "/api/v1/tasks",
    "/api/v1/tasks/{task}",
    "/api/v1/{kind}s",
    "/api/v1/{kind}/{name}",
    "/a2a/{agent}",
    "/a2a",
    "/{any}/end",
)
ASKED = (
    "/healthz", "/healthz/", "/v1/models", "/v1/models/", "/v1/models/a/b", "/v1/models/a%2Fb", "/v1/responses/7", "/v1/responses/7/8",
    "/v1", "/v1/", "/v1//", "/api/v1/tasks", "/api/v1/tasks/", "/api/v1/tasks/4", "/api/v1/tasks/4/5", "/api/v1/agents", "/api/v1/agents/x",
    "/api/v1", "/api", "/a2a", "/a2a/x", "/a2a/x/y", "/other/end", "/v1/end", "/below/x", "/below", "/", "//", "/nothing", "/%7Bany%7D/end",
)  # fmt: skip


def routes() -> list[BaseRoute]:
    async def said(request: Request) -> Response:
        route = request.scope["route"]
        return PlainTextResponse(f"{route.path} {sorted(request.path_params.items())}")

    below = Mount("/below", routes=[Route("/x", said)])
    return [*(Route(path, said, methods=["GET", "POST"]) for path in PATHS), below]


def answers(router: Router, method: str, paths: Sequence[str]) -> list[tuple[int, str, str]]:
    client = TestClient(router, follow_redirects=False)
    came = [client.request(method, "http://testserver" + path) for path in paths]
    return [(answer.status_code, answer.text, answer.headers.get("location", "")) for answer in came]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_it_answers_as_one_that_tries_them_all(method: str) -> None:
    assert answers(Switchboard(routes()), method, ASKED) == answers(Router(routes()), method, ASKED)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_it_answers_the_same_in_another_order(method: str) -> None:
    turned = routes()[::-1]
    assert answers(Switchboard(turned), method, ASKED) == answers(Router(turned), method, ASKED)


def test_few_routes_are_tried() -> None:
    tried: list[str] = []

    class Counted(Route):
        def matches(self, scope):  # type: ignore[no-untyped-def]
            tried.append(self.path)
            return super().matches(scope)

    async def said(request: Request) -> Response:
        return Response()

    many = [Counted(f"/api/v1/kind{number}/{{name}}", said) for number in range(100)]
    assert TestClient(Switchboard(many)).get("/api/v1/kind77/x").status_code == 200
    assert tried == ["/api/v1/kind77/{name}"]
