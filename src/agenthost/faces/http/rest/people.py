"""`/me`, `/people`, `/keys`: who may use the host, and by what."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.administration import (
    Fate,
    KeyInfo,
    Me,
    NewKey,
    NewPerson,
    PersonChange,
    PersonInfo,
    SignInLink,
)
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import admin_of, session_of
from agenthost.faces.http.operations import Answer, Body, Example, Operation, query_of
from agenthost.wire.bodies import KeyBody, PasswordBody, SignInBody
from agenthost.wire.cookies import csrf_of

_MOST = 64 * 1024
"""Bytes of a body; nothing here is long."""

PEOPLE, KEYS = "people", "keys"
ONE = "/people/{person}"
PLACES = {
    "person": Annotated[str, Meta(description="Somebody's id", examples=["ann"])],
    "key": Annotated[str, Meta(description="A key's or a session's id", examples=["k0123456789a"])],
}


class Whose(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose keys are meant."""

    person: Annotated[str, Meta(description="somebody's id; yours where it is left out")] = ""


class Leaving(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of the unfinished tasks of somebody who is removed."""

    tasks: Annotated[Fate, Meta(description="whether they are cancelled, or go on")] = "cancel"


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
    await admin_of(request).delete_person(_id(request), query_of(request, Leaving).tasks)
    return Response(status_code=204)


async def set_password(request: Request) -> Response:
    body = await read_json(request, PasswordBody, _MOST)
    await admin_of(request).set_password(_id(request), body.password, body.old)
    return Response(status_code=204)


async def link(request: Request) -> Response:
    body = await read_json(request, SignInBody, _MOST)
    return _private(await admin_of(request).sign_in_link(body.person), 201)


async def keys(request: Request) -> Response:
    return _private(await admin_of(request).keys(query_of(request, Whose).person))


async def make_key(request: Request) -> Response:
    wish = await read_json(request, KeyBody, _MOST)
    return _private(await admin_of(request).make_key(wish.name, wish.person, wish.rights, wish.expires), 201)


async def revoke_key(request: Request) -> Response:
    await admin_of(request).revoke_key(str(request.path_params["key"]), query_of(request, Whose).person)
    return Response(status_code=204)


def _id(request: Request) -> str:
    return str(request.path_params["person"])


def _private(value: object, status: int = 200) -> Response:
    response = answer(value, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def operations() -> tuple[Operation, ...]:
    """What can be done with people and keys."""
    return (
        Operation(
            "GET",
            "/me",
            me,
            "getMe",
            "Who you are, by what you came in, and what you may do by it",
            PEOPLE,
            "read",
            description="For a browser's session, `csrf` is what goes along as `X-CSRF-Token` with all that changes something.",
            answers=(Answer(200, Me, "you"),),
        ),
        *_people(),
        *_keys(),
    )


def _people() -> tuple[Operation, ...]:
    told = Answer(200, PersonInfo, "as they are now")
    return (
        Operation(
            "GET",
            "/people",
            people,
            "listPeople",
            "Who may use the host",
            PEOPLE,
            "own",
            answers=(Answer(200, list[PersonInfo], "everybody"),),
        ),
        Operation(
            "POST",
            "/people",
            add_person,
            "addPerson",
            "Add somebody",
            PEOPLE,
            "own",
            body=Body(NewPerson, "their id, and what they may do"),
            answers=(Answer(201, PersonInfo, "who was added"),),
            errors=(409, 422, 429),
            example=Example(body={"id": "eve", "role": "user", "name": "Eve"}),
        ),
        Operation(
            "GET",
            ONE,
            person,
            "getPerson",
            "Somebody; yourself needs no right",
            PEOPLE,
            "own",
            answers=(told,),
            places=PLACES,
            example=Example(places={"person": "owner"}),
        ),
        Operation(
            "PATCH",
            ONE,
            change_person,
            "changePerson",
            "Change somebody, or let them in no more",
            PEOPLE,
            "own",
            description="What is left out stays. Somebody who is disabled loses within seconds what they have open; `tasks` says what becomes of "
            "their unfinished tasks.",
            body=Body(PersonChange, "what is to change"),
            answers=(told,),
            errors=(404, 409, 422),
            places=PLACES,
            example=Example(places={"person": "ann"}, body={"role": "operator"}),
        ),
        Operation(
            "DELETE",
            ONE,
            delete_person,
            "deletePerson",
            "Remove somebody with their keys; what they did stays theirs",
            PEOPLE,
            "own",
            query=Leaving,
            answers=(Answer(204, description="they are gone"),),
            errors=(404, 409, 422),
            places=PLACES,
            example=Example(places={"person": "ann"}),
        ),
        Operation(
            "PUT",
            f"{ONE}/password",
            set_password,
            "setPassword",
            "Set a password, or take it away; other sessions of theirs end",
            PEOPLE,
            "own",
            description="Your own needs no right, but no key either; `old` is the one before then.",
            body=Body(PasswordBody, "the new password, empty for none"),
            answers=(Answer(204, description="it counts from now on"),),
            errors=(404, 422, 429),
            places=PLACES,
            example=Example(places={"person": "ann"}, body={"password": "three words and one"}),
        ),
        Operation(
            "POST",
            "/sign-in-links",
            link,
            "makeSignInLink",
            "A link that signs a browser in, once and soon",
            PEOPLE,
            "own",
            description="For yourself it needs no right, but no key either.",
            body=Body(SignInBody, "whom it is for"),
            answers=(Answer(201, SignInLink, "the link"),),
            errors=(404, 422),
            example=Example(body={"person": "ann"}),
        ),
    )


def _keys() -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/keys",
            keys,
            "listKeys",
            "Your keys and sessions, or with the right `own` somebody's",
            KEYS,
            "read",
            query=Whose,
            answers=(Answer(200, list[KeyInfo], "without their secrets"),),
            errors=(404,),
        ),
        Operation(
            "POST",
            "/keys",
            make_key,
            "makeKey",
            "Make a key; its secret is told this once",
            KEYS,
            "read",
            description="A key may at most what its maker may, and one that a key makes ends with it at the latest.",
            body=Body(KeyBody, "what it is for, what it may, until when"),
            answers=(Answer(201, NewKey, "the key, with its secret"),),
            errors=(404, 409, 422),
            example=Example(body={"name": "laptop", "rights": ["read"], "expires": 0}),
        ),
        Operation(
            "DELETE",
            "/keys/{key}",
            revoke_key,
            "revokeKey",
            "Take a key back, or end a session; it counts at once",
            KEYS,
            "read",
            query=Whose,
            answers=(Answer(204, description="it is gone"),),
            errors=(404,),
            places=PLACES,
            example=Example(places={"key": "k0123456789a"}),
        ),
    )
