"""Files by content hash."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.parts import FilePart
from agenthost.faces.http.bodies import answer, read
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation, query_of

MOST_FILE = 256 * 1024 * 1024
"""Bytes that one upload may have; the host may well take less of a kind."""

BYTES = "application/octet-stream"
HARMLESS = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
"""A file is never shown by a browser as anything that could run in the page's origin."""


class Putting(Struct, frozen=True, forbid_unknown_fields=True):
    """What a file is."""

    name: Annotated[str, Meta(description="its name")] = ""
    media_type: Annotated[str, Meta(description="what it is; told from name and content where this is empty")] = ""


async def put(request: Request) -> Response:
    asked = query_of(request, Putting)
    content = await read(request, MOST_FILE)
    return answer(await api_of(request).put_file(asked.name, content, asked.media_type), 201)


async def get(request: Request) -> Response:
    content = await api_of(request).get_file(str(request.path_params["digest"]))
    return Response(content, headers=HARMLESS, media_type=BYTES)


def operations() -> tuple[Operation, ...]:
    """What can be done with files."""
    return (
        Operation(
            "POST",
            "/files",
            put,
            "putFile",
            "Keep the body as a file",
            "files",
            "work",
            query=Putting,
            headers=(IDEMPOTENCY_KEY,),
            body=Body(media=("*/*",), description="the file's bytes"),
            answers=(Answer(201, FilePart, "what the file is called from now on"),),
            example=Example({"name": "notes.txt"}, content=b"remember the milk"),
            creates=True,
        ),
        Operation(
            "GET",
            "/files/{digest}",
            get,
            "getFile",
            "A file by its content hash, as an attachment",
            "files",
            answers=(Answer(200, description="the file's bytes", media=BYTES),),
        ),
    )
