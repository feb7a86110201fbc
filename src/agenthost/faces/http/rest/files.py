"""Files by content hash: given as they are or in a form, handed out whole or in parts, and by links that need no token."""

import time
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from agenthost.core.api import Linked
from agenthost.core.parts import FilePart
from agenthost.faces.http.bodies import answer, pieces, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.guard import address_of
from agenthost.faces.http.operations import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    RANGE,
    Answer,
    Body,
    Example,
    Operation,
    query_of,
)
from agenthost.faces.http.rest.sending import ANSWERS, file_answer
from agenthost.faces.http.site import Site
from agenthost.faces.http.uploads import MULTIPART, Upload
from agenthost.wire.bodies import ROOT, Link, LinkBody


class Putting(Struct, frozen=True, forbid_unknown_fields=True):
    """What a file is."""

    name: Annotated[str, Meta(description="its name", max_length=200)] = ""
    media_type: Annotated[
        str,
        Meta(
            description="what it is; told from name and content where this is empty, and then bounded as `[files]` says",
            max_length=100,
        ),
    ] = ""


async def get(request: Request) -> ASGIApp:
    return await file_answer(request, api_of(request), str(request.path_params["digest"]), fixed=True)


async def link(request: Request) -> Response:
    body = await read_json(request, LinkBody)
    return await linked(request, body, str(request.path_params["digest"]))


async def linked(request: Request, body: LinkBody, digest: str, name: str = "") -> Response:
    """A link to a file, as the body asks for it."""
    file = Linked(digest, float(int(time.time()) + body.seconds), body.name or name)
    secret = await api_of(request).link(file)
    return answer(Link(f"{ROOT}/links/{secret}", file.until), 201)


def operations(site: Site) -> tuple[Operation, ...]:
    """What can be done with files."""

    async def put(request: Request) -> Response:
        asked = query_of(request, Putting)
        media = request.headers.get("content-type", "")
        body = pieces(request, site.limits().upload)
        if not media.lower().startswith(MULTIPART):
            return answer(await api_of(request).take_file(asked.name, body, asked.media_type), 201)
        upload = Upload(media, body)
        await upload.begin()
        name = asked.name or upload.name
        return answer(await api_of(request).take_file(name, upload.pieces(), asked.media_type), 201)

    async def opened(request: Request) -> ASGIApp:
        secret = str(request.path_params["secret"])
        caller, file = await site.reception.linked(secret, address_of(request))
        return await file_answer(request, site.reception.api(caller), file.digest, file.name)

    secret = {"secret": Annotated[str, Meta(description="what the link ends with", examples=["c2lnbmVk"])]}
    return (
        Operation(
            "POST",
            "/files",
            put,
            "putFile",
            "Keep a file: the body as it is, or the one file of a form",
            "files",
            "work",
            description="It is never held: a file may have as many bytes as `http.upload` says.",
            query=Putting,
            headers=(IDEMPOTENCY_KEY,),
            body=Body(
                media=("application/octet-stream",),
                description="the file's bytes, of any media type, or multipart/form-data",
            ),
            answers=(
                Answer(
                    201,
                    FilePart,
                    "what the file is called from now on",
                    links={
                        "getFile": {"digest": "$response.body#/digest"},
                        "linkFile": {"digest": "$response.body#/digest"},
                    },
                ),
            ),
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
            headers=(RANGE, IF_NONE_MATCH),
            answers=ANSWERS,
            errors=(416,),
            example=Example(headers={"Range": "bytes=0-3"}, status=206),
        ),
        Operation(
            "POST",
            "/files/{digest}/links",
            link,
            "linkFile",
            "A link that opens the file for whoever has it, for a while",
            "files",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(LinkBody),
            answers=(Answer(201, Link, "the link: a path on this host"),),
            example=Example(body={"seconds": 600, "name": "report.pdf"}),
            creates=True,
        ),
        Operation(
            "GET",
            "/links/{secret}",
            opened,
            "openLink",
            "The file that a link opens; needs no token",
            "files",
            None,
            headers=(RANGE, IF_NONE_MATCH),
            answers=ANSWERS,
            errors=(416,),
            places=secret,
        ),
    )
