"""`/tasks/{task}/events`: what has happened and happens, as server-sent events."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request

from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import Answer, Example, Header, Operation, query_of
from agenthost.faces.http.rest.tasks import task_of
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import EventStream, bare_frames, task_frames, tree_frames
from agenthost.wire.sse import decode_after

_SEEN = "Last-Event-ID", "The id of the last event that was seen: the stream goes on after it"
_NUMBER = "(?:0|[1-9][0-9]{0,14})"
_PLACE = rf'"[\w.:\-]{{1,500}}":{_NUMBER}'
PLACES = rf"^(?:{_NUMBER}|\{{{_PLACE}(?:,{_PLACE}){{0,999}}\}})?$"
"""The ids of a task's stream: a number, or a place in each journal of the tree."""
LAST_EVENT_ID = Header(*_SEEN, pattern=PLACES)
LAST_CURSOR = Header(*_SEEN)
STREAM = "text/event-stream"


class Following(Struct, frozen=True, forbid_unknown_fields=True):
    """How a task is followed."""

    after: Annotated[
        str, Meta(description="the same as `Last-Event-ID`, for whom can't set headers", pattern=PLACES)
    ] = ""
    tree: Annotated[bool, Meta(description="with the tasks below it")] = True
    ids: Annotated[bool, Meta(description="with ids; without, for a follower that counts by itself")] = True


def operations(site: Site) -> tuple[Operation, ...]:
    """The streams of events."""

    async def follow(request: Request) -> EventStream:
        task, asked = task_of(request), query_of(request, Following)
        told = decode_after(task, request.headers.get("last-event-id") or asked.after)
        # Places in other tasks say nothing here, and each frame's id would have them.
        after = {each: seq for each, seq in told.items() if each == task or each.startswith(f"{task}.")}
        if not asked.ids:
            frame = bare_frames
        else:
            frame = tree_frames(after) if asked.tree else task_frames
        return EventStream(api_of(request).follow(task, after, asked.tree), frame, site.streams, site.closing)

    return (
        Operation(
            "GET",
            "/tasks/{task}/events",
            follow,
            "followTask",
            "What has happened and happens, until the task has ended",
            "tasks",
            description="Server-sent events: `recorded`, `delta`, `problem`, `end`. See docs/http.md, Streams.",
            query=Following,
            headers=(LAST_EVENT_ID,),
            answers=(Answer(200, description="the stream", media=STREAM),),
            errors=(422,),
            example=Example(query={"tree": "false"}),
            streams=True,
        ),
    )
