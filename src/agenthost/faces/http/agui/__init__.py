"""AG-UI 1.0 (docs.ag-ui.com/spec/1.0): `POST /ag-ui/{agent}` takes a run's input and streams the run as server-sent events.

A run is one stretch of a task: it ends with the task, or where the task waits for who looks on; a later run of the same
thread goes on with it. The official package is loaded with the first request.
"""

from importlib.util import find_spec

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.errors import Unavailable
from agenthost.faces.http.bodies import edge
from agenthost.faces.http.streams import Closing, StreamSettings

PATH = "/ag-ui/{agent}"


def routes(settings: StreamSettings, closing: Closing) -> list[BaseRoute]:
    """The routes of AG-UI, below the root. `closing` ends its streams when the host stops."""
    face = _Face(settings, closing)
    return [Route(PATH, edge(face.run), methods=["POST"]), Route(PATH, edge(face.describe), methods=["GET"])]


class _Face:
    """The handlers, and which runs nobody saw to their end."""

    def __init__(self, settings: StreamSettings, closing: Closing) -> None:
        self._settings = settings
        self._closing = closing
        self._unseen: dict[str, str] = {}

    async def run(self, request: Request) -> Response:
        _need()
        from agenthost.faces.http.agui.door import answer_run

        return await answer_run(request, self._settings, self._closing, self._unseen)

    async def describe(self, request: Request) -> Response:
        _need()
        from agenthost.faces.http.agui.describing import describe

        return await describe(request)


def _need() -> None:
    if find_spec("ag_ui") is None:
        raise Unavailable("AG-UI needs its official package, and it isn't installed: pip install 'agenthost[agui]'")
