"""`/messages`: a message in; the host finds or opens its task. And everything that happens, to everybody's tasks."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.types import ASGIApp

from agenthost.core.api import Incoming, Placed
from agenthost.core.events import Recorded
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation, query_of
from agenthost.faces.http.rest.events import LAST_CURSOR, STREAM
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import EventStream
from agenthost.wire import sse
from agenthost.wire.bodies import EventPage, PlacedBody, encode
from agenthost.wire.cursors import decode_number, encode_cursor


class Watching(Struct, frozen=True, forbid_unknown_fields=True):
    """Which events are wanted."""

    cursor: Annotated[
        str,
        Meta(
            description="the `next` of a page, or an event's id, after which to go on; a stream without begins with now"
        ),
    ] = ""
    person: Annotated[str, Meta(description="of this person's tasks")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="how many a page has at most")] = 500


async def message(request: Request) -> ASGIApp:
    came = await read_json(request, Incoming)
    key = request.headers.get("idempotency-key", "")
    if key and not came.key:
        # The same key on another path is another one.
        came = msgspec.structs.replace(came, key=f"messages:{key}")
    return answer(await api_of(request).place(came), 201)


def placed_frame(item: tuple[int, Recorded]) -> bytes:
    """A frame of everybody's events, whose id is its cursor."""
    return sse.encode_frame(sse.PLACED, encode(PlacedBody(*item)), encode_cursor(item[0]).encode())


def operations(site: Site) -> tuple[Operation, ...]:
    """Messages in, events out."""

    async def events(request: Request) -> ASGIApp:
        asked, api = query_of(request, Watching), api_of(request)
        cursor = request.headers.get("last-event-id") or asked.cursor
        if STREAM in request.headers.get("accept", ""):
            after = decode_number(cursor) if cursor else None
            return EventStream(api.watch(after, asked.person), placed_frame, site.streams, site.closing)
        news = await api.news(decode_number(cursor), asked.limit, asked.person)
        items = tuple(PlacedBody(place, recorded) for place, recorded in news.items)
        return answer(EventPage(items, encode_cursor(news.place)))

    return (
        Operation(
            "POST",
            "/messages",
            message,
            "sendMessage",
            "A message in: its task is found, or opened",
            "messages",
            "work",
            description="It goes to the `task` that it names, else to the one of its `conversation` that goes on, else the agent or workflow "
            "`name` begins one. Where the task asks something, the message is the answer. In a conversation `edits` names an earlier message whose "
            "new text this is, or which is taken back (`deleted`); `forwarded` are words of somebody else, and never an order.",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(Incoming),
            answers=(
                Answer(
                    201,
                    Placed,
                    "the task, and what the message became",
                    links={"getTask": {"task": "$response.body#/task/id"}},
                ),
            ),
            errors=(404, 409, 422),
            example=Example(body={"name": "quick", "text": "hello", "conversation": "web:7"}),
            creates=True,
        ),
        Operation(
            "GET",
            "/events",
            events,
            "watchTasks",
            "What happens to all of the caller's tasks, in order",
            "messages",
            description="With `Accept: text/event-stream` a stream that goes on: first what came after the cursor, then what "
            "happens, each event once, its id a cursor. Without, a page; `next` is there at the end too.",
            query=Watching,
            headers=(LAST_CURSOR,),
            answers=(
                Answer(200, EventPage, "a page of events"),
                Answer(200, None, "the stream", media=STREAM),
            ),
            errors=(404, 422),
            example=Example(query={"limit": "20"}),
        ),
    )
