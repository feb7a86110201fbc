"""`/me`, `/people`, `/keys`: who may use the host, and by what."""

from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agenthost.core.administration import Fate, KeyWish, NewPerson, PersonChange
from agenthost.faces.http.bodies import answer, edge, query, read_json
from agenthost.faces.http.callers import admin_of, session_of
from agenthost.wire.bodies import LinkBody, PasswordBody
from agenthost.wire.cookies import csrf_of

_MOST = 64 * 1024
"""Bytes of a body; nothing here is long."""


async def me(request: Request) -> Response:
    found = await admin_of(request).whoami()
    session = session_of(request)
    return _private(msgspec.structs.replace(found, csrf=csrf_of(session)) if session else found)


async def people(request: Request) -> Response:
    return _private(await admin_of(request).people())


async def add_person(request: Request) -> Response:
    return _private(await admin_of(request).add_person(await read_json(request, NewPerson, _MOST)), 201)


async def person(request: Request) -> Response:
    return _private(await admin_of(request).person(_id(request)))


async def change_person(request: Request) -> Response:
    change = await read_json(request, PersonChange, _MOST)
    return _private(await admin_of(request).change_person(_id(request), change))


async def delete_person(request: Request) -> Response:
    fate = cast("Fate", query(request, "tasks", cast(Any, Fate), "cancel"))
    await admin_of(request).delete_person(_id(request), fate)
    return Response(status_code=204)


async def set_password(request: Request) -> Response:
    body = await read_json(request, PasswordBody, _MOST)
    await admin_of(request).set_password(_id(request), body.password, body.old)
    return Response(status_code=204)


async def link(request: Request) -> Response:
    body = await read_json(request, LinkBody, _MOST)
    return _private(await admin_of(request).sign_in_link(body.person), 201)


async def keys(request: Request) -> Response:
    return _private(await admin_of(request).keys(query(request, "person", str, "")))


async def make_key(request: Request) -> Response:
    return _private(await admin_of(request).make_key(await read_json(request, KeyWish, _MOST)), 201)


async def revoke_key(request: Request) -> Response:
    id = str(request.path_params["key"])
    await admin_of(request).revoke_key(id, query(request, "person", str, ""))
    return Response(status_code=204)


def _id(request: Request) -> str:
    return str(request.path_params["person"])


def _private(value: object, status: int = 200) -> Response:
    response = answer(value, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def routes() -> list[BaseRoute]:
    """The routes of people and keys, below the API's root."""
    return [
        Route("/me", edge(me), methods=["GET"]),
        Route("/people", edge(people), methods=["GET"]),
        Route("/people", edge(add_person), methods=["POST"]),
        Route("/people/{person}", edge(person), methods=["GET"]),
        Route("/people/{person}", edge(change_person), methods=["PATCH"]),
        Route("/people/{person}", edge(delete_person), methods=["DELETE"]),
        Route("/people/{person}/password", edge(set_password), methods=["PUT"]),
        Route("/sign-in-links", edge(link), methods=["POST"]),
        Route("/keys", edge(keys), methods=["GET"]),
        Route("/keys", edge(make_key), methods=["POST"]),
        Route("/keys/{key}", edge(revoke_key), methods=["DELETE"]),
    ]
