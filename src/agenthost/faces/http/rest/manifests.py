"""Manifests: agents and workflows applied, read and deleted."""

from starlette.requests import Request
from starlette.responses import Response

from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import Answer, Body, Example, Handler, Operation
from agenthost.wire.bodies import AppliedBody, ApplyBody, ManifestsBody

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
        await api_of(request).delete(kind or str(request.path_params["kind"]), str(request.path_params["name"]))
        return Response(status_code=204)

    return handler


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
            answers=(Answer(204, description="it is gone"),),
            example=Example(places={"kind": "agent", "name": "spare"}),
        ),
        *_of_a_kind("agent"),
        *_of_a_kind("workflow"),
    )


def _of_a_kind(kind: str) -> tuple[Operation, ...]:
    many, title = f"{kind}s", kind.capitalize()
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
            "DELETE",
            f"/{many}/{{name}}",
            deleted(kind),
            f"delete{title}",
            "Remove one; what runs goes on with what it began with",
            many,
            "manage",
            answers=(Answer(204, description="it is gone"),),
            example=Example(places={"name": f"spare-{kind}"}),
        ),
    )
