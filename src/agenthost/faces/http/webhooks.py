"""`/webhooks`: whom a person wants called when their tasks end or ask. Each has their own."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.webhooks import DeliveryInfo, DeliveryPage, NewWebhook, OwnWebhooks, WebhookInfo
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.keyed import key_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation, query_of
from agenthost.host.webhooks.desk import Desk
from agenthost.wire.bodies import WebhookPage

MOST_LISTED = 500


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
            body=Body(NewWebhook, "where to, and for what"),
            answers=(Answer(201, WebhookInfo, "the webhook and, this once, its secret"),),
            errors=(404, 409, 422),
            example=wanted,
            # Not `creates`: its answer has a secret, which is nowhere kept in the clear. The desk knows the key itself.
        ),
        Operation(
            "GET",
            "/webhooks",
            face.all,
            "listWebhooks",
            "One's own webhooks",
            _TAG,
            "read",
            answers=(Answer(200, WebhookPage, "all of them"),),
        ),
        Operation(
            "GET",
            one,
            face.show,
            "getWebhook",
            "One of them",
            _TAG,
            "read",
            answers=(Answer(200, WebhookInfo, "the webhook"),),
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
            answers=(Answer(202, DeliveryInfo, "the delivery"),),
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
            "read",
            query=Listing,
            answers=(Answer(200, DeliveryPage, "a page"),),
            places=_PLACES,
            example=unknown,
        ),
    )


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _own(self, request: Request) -> OwnWebhooks:
        return self._desk.of(caller_of(request), api_of(request))

    async def make(self, request: Request) -> Response:
        wanted = await read_json(request, NewWebhook)
        made = await self._own(request).add(wanted, key_of(request) or "")
        return answer(made, 201, {"Cache-Control": "no-store"})

    async def all(self, request: Request) -> Response:
        return answer(WebhookPage(tuple(await self._own(request).all())))

    async def show(self, request: Request) -> Response:
        return answer(await self._own(request).show(_id(request)))

    async def remove(self, request: Request) -> Response:
        await self._own(request).remove(_id(request))
        return Response(status_code=204)

    async def test(self, request: Request) -> Response:
        return answer(await self._own(request).test(_id(request)), 202)

    async def deliveries(self, request: Request) -> Response:
        asked = query_of(request, Listing)
        return answer(await self._own(request).deliveries(_id(request), asked.before, asked.limit))


def _id(request: Request) -> str:
    return str(request.path_params["webhook"])
