"""`/tasks/{task}/events`: what has happened and happens, as server-sent events."""

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from agenthost.core.errors import AgentHostError
from agenthost.faces.http.bodies import problem, query
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.streams import Closing, EventStream, StreamSettings, bare_frames, task_frames, tree_frames
from agenthost.wire.sse import decode_after


class Events:
    """Follows a task. Last-Event-ID (or `after`) takes a stream up again; `tree=false` leaves out
    the tasks below; `ids=false` leaves out ids, for a follower that counts by itself."""

    def __init__(self, settings: StreamSettings, closing: Closing) -> None:
        self._settings = settings
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            stream = self._open(request)
        except AgentHostError as error:
            await problem(error)(scope, receive, send)
            return
        await stream(scope, receive, send)

    def _open(self, request: Request) -> EventStream:
        task = str(request.path_params["task"])
        after = decode_after(task, request.headers.get("last-event-id") or query(request, "after", str, ""))
        tree = query(request, "tree", bool, True)
        if not query(request, "ids", bool, True):
            frame = bare_frames
        else:
            frame = tree_frames(after) if tree else task_frames
        return EventStream(api_of(request).follow(task, after, tree), frame, self._settings, self._closing)


def routes(settings: StreamSettings, closing: Closing) -> list[BaseRoute]:
    """The route of a task's events, below the API's root."""
    return [Route("/tasks/{task}/events", Events(settings, closing), methods=["GET"])]
