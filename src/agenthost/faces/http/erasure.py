"""Deletion for good: `DELETE /tasks/{task}`, and all of a person's or a namespace."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.erasure import Deletion, Erased
from agenthost.core.errors import Unusable
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.operations import Answer, Body, Example, Operation, query_of
from agenthost.faces.http.presence import excuse
from agenthost.host.erasure.desk import Desk
from agenthost.wire.bodies import ErasureBody


class Deleting(Struct, frozen=True, forbid_unknown_fields=True):
    """How a task is deleted."""

    force: Annotated[bool, Meta(description="also one that goes on: it is cancelled first")] = False


def operations(desk: Desk) -> tuple[Operation, ...]:
    """Deletion, below the API's root."""
    face = _Face(desk)
    told = (Answer(200, Erased, "how much is gone"),)
    return (
        Operation(
            "DELETE",
            "/tasks/{task}",
            face.task,
            "deleteTask",
            "Delete a root task with everything below it, for good",
            "Tasks",
            "work",
            query=Deleting,
            answers=told,
            errors=(409, 422),
            example=Example(query={"force": "true"}),
        ),
        Operation(
            "POST",
            "/erasures",
            face.all,
            "erase",
            "Delete all of a person's, or a namespace, for good",
            "Tasks",
            "own",
            body=Body(ErasureBody, "whose, written twice"),
            answers=told,
            errors=(404, 409, 422),
            example=Example(body={"kind": "person", "name": "nobody", "confirm": "nobody"}, status=404),
        ),
    )


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _of(self, request: Request) -> Deletion:
        return self._desk.of(caller_of(request), api_of(request))

    async def task(self, request: Request) -> Response:
        task = str(request.path_params["task"])
        return answer(await self._of(request).task(task, query_of(request, Deleting).force))

    async def all(self, request: Request) -> Response:
        body = await read_json(request, ErasureBody)
        if not body.name or body.name != body.confirm:
            raise Unusable("what is erased is gone for good: write its name in `name` and once more in `confirm`")
        excuse(request.scope)
        deletion = self._of(request)
        erase = deletion.person if body.kind == "person" else deletion.namespace
        return answer(await erase(body.name))
