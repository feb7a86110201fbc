"""`/grants`: approvals that were given for good, listed and taken back. They are given with an answer."""

from typing import Annotated, Any

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.grants import GrantDetail, OwnGrants
from agenthost.faces.http.bodies import answer
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.operations import Answer, Example, Operation
from agenthost.host.grants.desk import Desk
from agenthost.wire.bodies import GrantPage

_PLACES: dict[str, Any] = {"grant": Annotated[str, Meta(description="A grant's id", examples=["gr_0000000000000000"])]}
_TAG = "Grants"


def operations(desk: Desk) -> tuple[Operation, ...]:
    """Grants, below the API's root."""
    face = _Face(desk)
    one = "/grants/{grant}"
    unknown = Example(places={"grant": "gr_0000000000000000"}, status=404)
    return (
        Operation(
            "GET",
            "/grants",
            face.all,
            "listGrants",
            "Approvals that were given for good: those for your tasks, or everybody's where you manage the host",
            _TAG,
            "read",
            answers=(Answer(200, GrantPage, "all of them, newest first"),),
        ),
        Operation(
            "GET",
            one,
            face.show,
            "getGrant",
            "One grant, with the newest of its uses",
            _TAG,
            "read",
            answers=(Answer(200, GrantDetail, "the grant"),),
            places=_PLACES,
            example=unknown,
        ),
        Operation(
            "DELETE",
            one,
            face.remove,
            "removeGrant",
            "Take a grant back, from the next call on",
            _TAG,
            "work",
            answers=(Answer(204),),
            places=_PLACES,
            example=unknown,
        ),
    )


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _own(self, request: Request) -> OwnGrants:
        return self._desk.of(caller_of(request))

    async def all(self, request: Request) -> Response:
        return answer(GrantPage(tuple(await self._own(request).all())))

    async def show(self, request: Request) -> Response:
        return answer(await self._own(request).show(str(request.path_params["grant"])))

    async def remove(self, request: Request) -> Response:
        await self._own(request).remove(str(request.path_params["grant"]))
        return Response(status_code=204)
