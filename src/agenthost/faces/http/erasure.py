"""Deletion for good: `DELETE /tasks/{task}`, and all of a person's or a namespace."""

from typing import Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.errors import BadInput
from agenthost.faces.http.bodies import answer, edge, query, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.host.erasure.desk import Desk


class ErasureBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose everything is to go: a `person`'s or a `namespace`'s. `name` is written once more as `confirm`."""

    kind: Literal["person", "namespace"]
    name: str
    confirm: str


def routes(desk: Desk) -> list[BaseRoute]:
    """The routes of deletion, below the API's root."""
    face = _Face(desk)
    return [
        Route("/tasks/{task}", edge(face.task), methods=["DELETE"]),
        Route("/erasures", edge(face.all), methods=["POST"]),
    ]


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def task(self, request: Request) -> Response:
        task = str(request.path_params["task"])
        await api_of(request).task(task)  # raises NotFound where it isn't theirs
        return answer(await self._desk.task(caller_of(request), task, query(request, "force", bool, False)))

    async def all(self, request: Request) -> Response:
        body = await read_json(request, ErasureBody)
        if not body.name or body.name != body.confirm:
            raise BadInput("what is erased is gone for good: write its name in `name` and once more in `confirm`")
        erase = self._desk.person if body.kind == "person" else self._desk.namespace
        return answer(await erase(caller_of(request), body.name))
