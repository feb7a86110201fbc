"""Files by content hash."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.faces.http.bodies import answer, edge, query, read
from agenthost.faces.http.callers import api_of

MOST_FILE = 256 * 1024 * 1024
"""Bytes that one upload may have; the host may well take less of a kind."""


class Files:
    """The handlers of `/files`. An upload that is cut off keeps nothing."""

    async def put(self, request: Request) -> Response:
        content = await read(request, MOST_FILE)
        kept = await api_of(request).put_file(
            query(request, "name", str, ""), content, query(request, "media_type", str, "")
        )
        return answer(kept, 201)

    async def get(self, request: Request) -> Response:
        content = await api_of(request).get_file(str(request.path_params["digest"]))
        # Never shown by a browser as anything that could run in the page's origin.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(content, headers=headers, media_type="application/octet-stream")


def routes() -> list[BaseRoute]:
    """The routes of files, below the API's root."""
    files = Files()
    return [
        Route("/files", edge(files.put), methods=["POST"]),
        Route("/files/{digest}", edge(files.get), methods=["GET"]),
    ]
