"""Manifests: agents, workflows and schedules applied, read and deleted."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.api import Applied, ManifestProblem
from agenthost.core.errors import BadInput, Conflict, NotFound
from agenthost.faces.http.bodies import MOST_JSON, answer, read, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import IF_MATCH, IF_NONE_MATCH, Answer, Body, Example, Handler, Operation, query_of
from agenthost.faces.http.rest.tasks import Paging
from agenthost.wire.bodies import AppliedBody, ApplyBody, ManifestsBody, TextsBody, VersionPage
from agenthost.wire.cursors import decode_number, encode_cursor

EXAMPLE = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: helper}
spec: {description: Helps, instructions: Help.}
"""


async def apply(request: Request) -> Response:
    body = await read_json(request, ApplyBody)
    applied, problems = await api_of(request).apply(body.texts, body.dry_run)
    return answer(AppliedBody(tuple(applied), tuple(problems)))


def listed(kind: str = "") -> Handler:
    """Lists a kind; where it is empty, the path's."""

    async def handler(request: Request) -> Response:
        return answer(ManifestsBody(await api_of(request).manifests(kind or str(request.path_params["kind"]))))

    return handler


def deleted(kind: str = "") -> Handler:
    """Deletes one of a kind; where it is empty, the path's."""

    async def handler(request: Request) -> Response:
        await api_of(request).delete(kind or str(request.path_params["kind"]), _name(request), _expected(request))
        return Response(status_code=204)

    return handler


async def validate(request: Request) -> Response:
    body = await read_json(request, TextsBody)
    applied, problems = await api_of(request).apply(body.texts, True)
    return answer(AppliedBody(tuple(applied), tuple(problems)))


def shown(kind: str) -> Handler:
    """Shows one of a kind."""

    async def handler(request: Request) -> Response:
        found = await api_of(request).manifest(kind, _name(request))
        headers = {"ETag": f'"{found.version}"'}
        if found.version in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return answer(found.manifest, headers=headers)

    return handler


def put(kind: str) -> Handler:
    """Makes or changes one of a kind."""

    async def handler(request: Request) -> Response:
        body = await read(request, MOST_JSON)
        if not body.strip():
            raise BadInput("the body is empty; send the manifest, as YAML or JSON")
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"the manifest is no text in UTF-8: {error}") from error
        name, expected = _name(request), _expected(request)
        return await _applied(request, kind, await api_of(request).put_manifest(kind, name, text, expected))

    return handler


def versions(kind: str) -> Handler:
    """Lists the versions of one of a kind."""

    async def handler(request: Request) -> Response:
        asked = query_of(request, Paging)
        found = await api_of(request).versions(kind, _name(request), decode_number(asked.cursor), asked.limit)
        last = encode_cursor(found[-1].number) if len(found) >= asked.limit and found[-1].number > 1 else ""
        return answer(VersionPage(tuple(found), last))

    return handler


def rolled_back(kind: str) -> Handler:
    """Applies an earlier version again."""

    async def handler(request: Request) -> Response:
        number = str(request.path_params["number"])
        if not (number.isascii() and number.isdecimal() and len(number) < 16):
            raise NotFound(f"there is no version '{number}'; versions are numbers")
        done = await api_of(request).roll_back(kind, _name(request), int(number), _expected(request))
        return await _applied(request, kind, done)

    return handler


async def _applied(request: Request, kind: str, done: tuple[list[Applied], list[ManifestProblem]]) -> Response:
    applied, problems = done
    if problems:
        first = problems[0]
        raise Conflict(
            f"the manifest can't be applied: {first.key}: {first.message}",
            problems=[msgspec.to_builtins(p) for p in problems],
        )
    now = await api_of(request).manifest(kind, _name(request))
    return answer(applied[0], 201 if applied[0].outcome == "created" else 200, {"ETag": f'"{now.version}"'})


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _expected(request: Request) -> str | None:
    """The version that If-Match names; empty where If-None-Match says that there must be none."""
    if request.headers.get("if-none-match", "").strip() == "*":
        return ""
    told = request.headers.get("if-match")
    return None if told is None else told.strip().removeprefix("W/").strip('"') or "-"


def operations() -> tuple[Operation, ...]:
    """What can be done with manifests."""
    tag = "manifests"
    return (
        Operation(
            "POST",
            "/manifests",
            apply,
            "applyManifests",
            "Apply manifests: all of them or, where there are problems, none",
            tag,
            "manage",
            body=Body(ApplyBody, "file name to YAML; `dryRun` only checks, and needs the right `read`"),
            answers=(Answer(200, AppliedBody, "what became of each, or the problems"),),
            example=Example(body={"texts": {"helper.yaml": EXAMPLE}}),
        ),
        Operation(
            "POST",
            "/manifests/validate",
            validate,
            "validateManifests",
            "Check manifests; nothing is applied",
            tag,
            body=Body(TextsBody, "file name to YAML"),
            answers=(Answer(200, AppliedBody, "what would become of each, or the problems"),),
            example=Example(body={"texts": {"helper.yaml": EXAMPLE}}),
        ),
        *_of_schedules(),
        Operation(
            "GET",
            "/manifests/{kind}",
            listed(),
            "listManifests",
            "The manifests of a kind by name",
            tag,
            answers=(Answer(200, ManifestsBody, "name to manifest"),),
            example=Example(places={"kind": "agent"}),
        ),
        Operation(
            "DELETE",
            "/manifests/{kind}/{name}",
            deleted(),
            "deleteManifest",
            "Remove a manifest; what runs goes on with what it began with",
            tag,
            "manage",
            headers=(IF_MATCH,),
            answers=(Answer(204, description="it is gone"),),
            errors=(409, 412),
            example=Example(places={"kind": "agent", "name": "spare"}),
        ),
        *_of_a_kind("agent", "agents"),
        *_of_a_kind("workflow", "workflows"),
    )


def _of_schedules() -> tuple[Operation, ...]:
    """What can be done with manifests of schedules alone; `/schedules` has what is run, whoever says so."""
    made = _of_a_kind("schedule", "manifests/schedule")
    return tuple(
        msgspec.structs.replace(each, id=each.id.replace("Schedule", "ScheduleManifest", 1), tag="manifests")
        for each in made
        if each.id != "listSchedules"
    )


def _of_a_kind(kind: str, many: str) -> tuple[Operation, ...]:
    title = kind.capitalize()
    there = Example(places={"name": f"spare-{kind}"})
    numbers = {
        "number": Annotated[str, Meta(description="a version's number", pattern="^[0-9]{1,15}$", examples=["1"])]
    }
    etag = {"ETag": "the manifest's version"}
    done = (Answer(200, Applied, "what became of it", headers=etag), Answer(201, Applied, "it is new", headers=etag))
    return (
        Operation(
            "GET",
            f"/{many}",
            listed(kind),
            f"list{title}s",
            f"The {many} by name",
            many,
            answers=(Answer(200, ManifestsBody, "name to manifest"),),
        ),
        Operation(
            "GET",
            f"/{many}/{{name}}",
            shown(kind),
            f"get{title}",
            "One manifest, with its version as ETag",
            many,
            headers=(IF_NONE_MATCH,),
            answers=(
                Answer(200, dict[str, Any], "the manifest", headers=etag),
                Answer(304, description="it has the version that `If-None-Match` names"),
            ),
            example=there,
        ),
        Operation(
            "PUT",
            f"/{many}/{{name}}",
            put(kind),
            f"put{title}",
            "Make or change one",
            many,
            "manage",
            description="`If-Match` changes only the version that it names, `If-None-Match: *` makes only what isn't there; else 412. A manifest "
            "that can't be applied is 409, and `details.problems` says where.",
            headers=(IF_MATCH,),
            body=Body(dict[str, Any], "the manifest, as YAML or JSON", media=("application/json", "application/yaml")),
            answers=done,
            errors=(409, 412),
            example=msgspec.structs.replace(there, body=_example(kind)),
        ),
        Operation(
            "DELETE",
            f"/{many}/{{name}}",
            deleted(kind),
            f"delete{title}",
            "Remove one; what runs goes on with what it began with",
            many,
            "manage",
            headers=(IF_MATCH,),
            answers=(Answer(204, description="it is gone"),),
            errors=(409, 412),
            example=there,
        ),
        Operation(
            "GET",
            f"/{many}/{{name}}/versions",
            versions(kind),
            f"list{title}Versions",
            "How it was, newest first",
            many,
            query=Paging,
            answers=(Answer(200, VersionPage, "a page of versions; one without a manifest is a deletion"),),
            example=there,
        ),
        Operation(
            "POST",
            f"/{many}/{{name}}/versions/{{number}}/restore",
            rolled_back(kind),
            f"restore{title}",
            "Apply an earlier version again, as the newest",
            many,
            "manage",
            headers=(IF_MATCH,),
            answers=done,
            errors=(409, 412),
            example=there,
            places=numbers,
        ),
    )


def _example(kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"description": "Helps", "instructions": "Help."}
    if kind == "workflow":
        spec = {"description": "Tells", "steps": [{"id": "one", "set": {"greeting": "'hello'"}}]}
    if kind == "schedule":
        spec = {"cron": "0 9 * * mon-fri", "run": {"agent": "echo", "text": "What is new?"}}
    return {
        "apiVersion": "agenthost.dev/v1alpha1",
        "kind": kind.capitalize(),
        "metadata": {"name": f"spare-{kind}"},
        "spec": spec,
    }
