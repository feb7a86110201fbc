"""`/webhooks`: whom a person wants called when their tasks end or ask. Each has their own."""

from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.webhooks import Delivery
from agenthost.faces.http.bodies import answer, edge, query, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.host.webhooks.desk import Desk, Shown, Wanted

MOST_LISTED = 500


class WebhookPage(Struct, frozen=True):
    """All of a person's webhooks: there is one page."""

    items: tuple[Shown, ...]
    next: str = ""


class DeliveryPage(Struct, frozen=True):
    """Deliveries, newest first; `next` is the `before` of the page after, empty at the end."""

    items: tuple[dict[str, Any], ...]
    next: str = ""


def routes(desk: Desk) -> list[BaseRoute]:
    """The routes of webhooks, below the API's root."""
    face = _Face(desk)
    one = "/webhooks/{webhook}"
    return [
        Route("/webhooks", edge(face.make), methods=["POST"]),
        Route("/webhooks", edge(face.all), methods=["GET"]),
        Route(one, edge(face.show), methods=["GET"]),
        Route(one, edge(face.remove), methods=["DELETE"]),
        Route(f"{one}/test", edge(face.test), methods=["POST"]),
        Route(f"{one}/deliveries", edge(face.deliveries), methods=["GET"]),
    ]


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def make(self, request: Request) -> Response:
        wanted = await read_json(request, Wanted)
        if wanted.task:
            # Raises NotFound where it isn't theirs.
            found = (await api_of(request).task(wanted.task)).row
            wanted = msgspec.structs.replace(wanted, task=found.root or found.id)
        key = request.headers.get("idempotency-key", "")
        return answer(await self._desk.make(caller_of(request), wanted, key), 201)

    async def all(self, request: Request) -> Response:
        return answer(WebhookPage(tuple(await self._desk.all(caller_of(request)))))

    async def show(self, request: Request) -> Response:
        return answer(await self._desk.show(caller_of(request), _id(request)))

    async def remove(self, request: Request) -> Response:
        await self._desk.remove(caller_of(request), _id(request))
        return Response(status_code=204)

    async def test(self, request: Request) -> Response:
        return answer(_shown(await self._desk.test(caller_of(request), _id(request))), 202)

    async def deliveries(self, request: Request) -> Response:
        before = max(0, query(request, "before", int, 0))
        limit = max(1, min(MOST_LISTED, query(request, "limit", int, 50)))
        found = await self._desk.deliveries(caller_of(request), _id(request), min(before, 2**62), limit)
        following = str(found[-1].place) if len(found) >= limit else ""
        return answer(DeliveryPage(tuple(_shown(each) for each in found), following))


def _id(request: Request) -> str:
    return str(request.path_params["webhook"])


def _shown(delivery: Delivery) -> dict[str, Any]:
    """A delivery with its body as JSON, and without what is the host's own business."""
    fields = msgspec.structs.asdict(delivery)
    fields["body"] = msgspec.Raw(delivery.body)
    for own in ("place", "root"):
        del fields[own]
    return fields
