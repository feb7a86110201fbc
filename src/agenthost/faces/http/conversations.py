"""`/conversations` and `/lines`: what was said in one's own conversations, what is being said, and which task each is for."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from agenthost.core.conversations import Conversing, Line, LineFilter, Moved
from agenthost.core.errors import NotFound
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.operations import Answer, Body, Example, Operation, query_of
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import EventStream
from agenthost.host.conversing.desk import Desk
from agenthost.host.conversing.own import OwnConversations
from agenthost.wire import sse
from agenthost.wire.bodies import ConversationPage, LinePage, MoveBody, SentBody, TopicPage, encode
from agenthost.wire.cursors import decode_number, encode_cursor

STREAM = "text/event-stream"
_TAG = "Conversations"
_PLACES: dict[str, Any] = {
    "line": Annotated[str, Meta(description="A line's place", pattern="^[0-9]{1,15}$", examples=["999999999"])]
}


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines are wanted."""

    cursor: Annotated[
        str, Meta(description="the `next` of a page, or the id of a line of the stream, after which to go on")
    ] = ""
    conversation: Annotated[str, Meta(description="of this conversation", max_length=500)] = ""
    channel: Annotated[str, Meta(description="of conversations by this channel, such as telegram", max_length=100)] = ""
    by: Annotated[Literal["", "person", "host"], Meta(description="who said it")] = ""
    task: Annotated[str, Meta(description="about this task", max_length=200)] = ""
    newest: Annotated[bool, Meta(description="a page of the last lines in place of the first")] = False
    limit: Annotated[int, Meta(ge=1, le=1000, description="how many a page has at most")] = 100


class Topics(Struct, frozen=True, forbid_unknown_fields=True):
    """Of which conversation."""

    conversation: Annotated[str, Meta(description="the conversation's name", min_length=1, max_length=500)]
    all: Annotated[bool, Meta(description="also those that have ended")] = False


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """How many."""

    limit: Annotated[int, Meta(ge=1, le=500, description="how many at most")] = 50


def operations(desk: Desk, site: Site) -> tuple[Operation, ...]:
    """Conversations, below the API's root."""
    face = _Face(desk, site)
    missing = Example(places={"line": "999999999"}, status=404)
    return (
        Operation(
            "GET",
            "/conversations",
            face.conversations,
            "listConversations",
            "One's own conversations, the one spoken in last first",
            _TAG,
            "read",
            query=Listing,
            answers=(Answer(200, ConversationPage, "conversations"),),
        ),
        Operation(
            "GET",
            "/topics",
            face.topics,
            "listTopics",
            "The tasks of a conversation, the one spoken of last first",
            _TAG,
            "read",
            query=Topics,
            answers=(Answer(200, TopicPage, "its tasks, with what they ask"),),
            errors=(422,),
            example=Example(query={"conversation": "web:7"}),
        ),
        Operation(
            "GET",
            "/lines",
            face.lines,
            "listLines",
            "What was said, by people and by the host",
            _TAG,
            "read",
            description="With `Accept: text/event-stream` a stream that goes on: first what came after the cursor, then what is "
            "said, each line once, its id a cursor. Without, a page; `next` is there at the end too.",
            query=Wanted,
            answers=(Answer(200, LinePage, "a page of lines"), Answer(200, None, "the stream", media=STREAM)),
            errors=(404, 422),
            example=Example(query={"conversation": "web:7"}),
        ),
        Operation(
            "GET",
            "/lines/{line}",
            face.line,
            "getLine",
            "One line, with what was decided about it",
            _TAG,
            "read",
            answers=(Answer(200, Line, "the line"),),
            errors=(404,),
            places=_PLACES,
            example=missing,
        ),
        Operation(
            "PUT",
            "/lines/{line}/sent",
            face.sent,
            "lineSent",
            "A channel has shown a line: under which ids of its own",
            _TAG,
            "work",
            body=Body(SentBody, "the channel's ids"),
            answers=(Answer(204),),
            errors=(404, 422),
            places=_PLACES,
            example=Example(places={"line": "999999999"}, body={"ids": ["701"]}, status=404),
        ),
        Operation(
            "POST",
            "/lines/{line}/move",
            face.move,
            "moveLine",
            "A message was meant for another task",
            _TAG,
            "work",
            description="The task that had it goes on as if it had never come, as far as that can be: what it `left` is said. An empty `to` begins a new "
            "task with it.",
            body=Body(MoveBody, "which task it is for"),
            answers=(Answer(200, Moved, "the line as it is now"),),
            errors=(404, 409, 422),
            places=_PLACES,
            example=Example(places={"line": "999999999"}, body={"to": ""}, status=404),
        ),
    )


class _Face:
    def __init__(self, desk: Desk, site: Site) -> None:
        self._desk = desk
        self._site = site

    def _own(self, request: Request) -> Conversing:
        return OwnConversations(self._desk, caller_of(request))

    async def conversations(self, request: Request) -> Response:
        found = await self._own(request).conversations(query_of(request, Listing).limit)
        return answer(ConversationPage(tuple(found)))

    async def topics(self, request: Request) -> Response:
        asked = query_of(request, Topics)
        return answer(TopicPage(tuple(await self._own(request).topics(asked.conversation, asked.all))))

    async def lines(self, request: Request) -> ASGIApp:
        asked, own = query_of(request, Wanted), self._own(request)
        cursor = request.headers.get("last-event-id") or asked.cursor
        after = decode_number(cursor)
        wanted = LineFilter(
            after, asked.conversation, asked.channel, asked.by, asked.task, newest=asked.newest, limit=asked.limit
        )
        if STREAM in request.headers.get("accept", ""):
            return EventStream(own.listen(wanted), _frame, self._site.streams, self._site.closing)
        found = await own.lines(wanted)
        return answer(LinePage(tuple(found), encode_cursor(found[-1].place if found else after)))

    async def line(self, request: Request) -> Response:
        return answer(await self._own(request).line(_place(request)))

    async def sent(self, request: Request) -> Response:
        body = await read_json(request, SentBody)
        await self._own(request).sent(_place(request), body.ids)
        return Response(status_code=204)

    async def move(self, request: Request) -> Response:
        body = await read_json(request, MoveBody)
        return answer(await self._own(request).move(_place(request), body.to, body.name))


def _frame(line: Line) -> bytes:
    return sse.encode_frame(sse.SAID, encode(line), encode_cursor(line.place).encode())


def _place(request: Request) -> int:
    number = str(request.path_params["line"])
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise NotFound(f"there is no line '{number}'; lines are numbers")
    return int(number)
