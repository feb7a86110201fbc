"""`/webhooks`: whom a person wants called when their tasks end or ask. Each has their own."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.webhooks import Delivery
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation, query_of
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


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which deliveries are listed."""

    before: Annotated[int, Meta(ge=0, le=2**62, description="the `next` of the page before")] = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED, description="how many in one page")] = 50


_PLACES: dict[str, Any] = {
    "webhook": Annotated[str, Meta(description="A webhook's id", examples=["wh_0000000000000000"])]
}
_TAG = "Webhooks"


def operations(desk: Desk) -> tuple[Operation, ...]:
    """Webhooks, below the API's root."""
    face = _Face(desk)
    one = "/webhooks/{webhook}"
    unknown = Example(places={"webhook": "wh_0000000000000000"}, status=404)
    wanted = Example(body={"url": "https://hooks.example.com/agenthost"})
    return (
        Operation(
            "POST",
            "/webhooks",
            face.make,
            "addWebhook",
            "Have a URL called on one's tasks' ends and questions",
            _TAG,
            "work",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(Wanted, "where to, and for what"),
            answers=(Answer(201, Shown, "the webhook and, this once, its secret"),),
            errors=(404, 409, 422),
            example=wanted,
            creates=True,
        ),
        Operation(
            "GET",
            "/webhooks",
            face.all,
            "listWebhooks",
            "One's own webhooks",
            _TAG,
            "work",
            answers=(Answer(200, WebhookPage, "all of them"),),
        ),
        Operation(
            "GET",
            one,
            face.show,
            "getWebhook",
            "One of them",
            _TAG,
            "work",
            answers=(Answer(200, Shown, "the webhook"),),
            places=_PLACES,
            example=unknown,
        ),
        Operation(
            "DELETE",
            one,
            face.remove,
            "deleteWebhook",
            "Remove it with what was to be sent",
            _TAG,
            "work",
            answers=(Answer(204),),
            places=_PLACES,
            example=unknown,
        ),
        Operation(
            "POST",
            f"{one}/test",
            face.test,
            "testWebhook",
            "Send something to try it out; one that was switched off goes on",
            _TAG,
            "work",
            answers=(Answer(202, dict[str, Any], "the delivery"),),
            errors=(409,),
            places=_PLACES,
            example=unknown,
        ),
        Operation(
            "GET",
            f"{one}/deliveries",
            face.deliveries,
            "listDeliveries",
            "What was and is to be sent, newest first",
            _TAG,
            "work",
            query=Listing,
            answers=(Answer(200, DeliveryPage, "a page"),),
            places=_PLACES,
            example=unknown,
        ),
    )


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
        made = await self._desk.make(caller_of(request), wanted, key)
        return answer(made, 201, {"Cache-Control": "no-store"})

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
        asked = query_of(request, Listing)
        found = await self._desk.deliveries(caller_of(request), _id(request), asked.before, asked.limit)
        following = str(found[-1].place) if len(found) >= asked.limit else ""
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
