"""The host itself: which it is, how it is, its models, the names of its secrets."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.api import Finding, Health, HostInfo, ModelDetail, ModelLine
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import Answer, Body, Example, Handler, Operation, query_of
from agenthost.faces.http.rest.events import STREAM
from agenthost.faces.http.rest.sending import BYTES
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import EventStream, probe_frames
from agenthost.wire.bodies import Names, ProbeBody, SecretBody
from agenthost.wire.offering import ABILITIES, MOST, Ability


class Models(Struct, frozen=True, forbid_unknown_fields=True):
    """Which models are wanted."""

    provider: Annotated[str, Meta(description="all that this provider says it has")] = ""


async def info(request: Request) -> Response:
    return answer(await api_of(request).info())


async def doctor(request: Request) -> Response:
    return answer(await api_of(request).doctor())


async def health(request: Request) -> Response:
    return answer(await api_of(request).health())


async def models(request: Request) -> Response:
    return answer(await api_of(request).models(query_of(request, Models).provider))


async def model(request: Request) -> Response:
    return answer(await api_of(request).model(str(request.path_params["name"])))


def ability(what: str, known: Ability) -> Handler:
    """Uses one ability of a model's provider."""

    async def handler(request: Request) -> Response:
        arguments = await read_json(request, known.arguments, MOST)
        abilities = await api_of(request).abilities(str(request.path_params["name"]))
        found = await getattr(abilities, what)(*arguments)
        if known.result is bytes:
            # Never shown by a browser as anything that could run in the page's origin.
            headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
            return Response(found, headers=headers, media_type=BYTES)
        return answer(found)

    return handler


async def secrets(request: Request) -> Response:
    return answer(Names(tuple(await api_of(request).secrets())))


async def set_secret(request: Request) -> Response:
    body = await read_json(request, SecretBody)
    await api_of(request).set_secret(str(request.path_params["name"]), body.value)
    return Response(status_code=204)


def operations(site: Site) -> tuple[Operation, ...]:
    """What is about the host and not about work."""
    return (
        Operation(
            "GET",
            "/info",
            info,
            "getInfo",
            "Which host this is",
            "host",
            answers=(Answer(200, HostInfo, "version, home, process, and what its machine has"),),
        ),
        Operation(
            "GET",
            "/doctor",
            doctor,
            "getDoctor",
            "What is well with the host and what is not",
            "host",
            "manage",
            answers=(Answer(200, list[Finding], "a line for each thing that was looked at"),),
        ),
        Operation(
            "GET",
            "/health",
            health,
            "getHealthInFull",
            "How the host is doing, and what is degraded",
            "host",
            "manage",
            description="Looked at anew every five seconds at most. `/healthz` and `/readyz` need no token and tell no more "
            "than whether it is alive and takes work.",
            answers=(Answer(200, Health, "how it is; 200 also where something is degraded"),),
        ),
        *_of_models(site),
        Operation(
            "GET",
            "/secrets",
            secrets,
            "listSecrets",
            "The names of the secrets",
            "secrets",
            "own",
            answers=(Answer(200, Names, "the names"),),
        ),
        Operation(
            "PUT",
            "/secrets/{name}",
            set_secret,
            "setSecret",
            "Keep a secret, or forget it where the value is empty. There is no way to read one",
            "secrets",
            "own",
            body=Body(SecretBody),
            answers=(Answer(204, description="it is kept, or forgotten"),),
            example=Example(body={"value": "s3cret"}, places={"name": "jira"}),
            errors=(404, 422),
        ),
    )


def _of_models(site: Site) -> tuple[Operation, ...]:
    async def probe(request: Request) -> EventStream:
        body = await read_json(request, ProbeBody)
        items = api_of(request).probe(str(request.path_params["name"]), body.quick, body.context or 0)
        return EventStream(items, probe_frames, site.streams, site.closing)

    return (
        Operation(
            "GET",
            "/models",
            models,
            "listModels",
            "The models that can be named",
            "models",
            description="With `provider`, all that one provider says it has, which needs the right `manage`.",
            query=Models,
            answers=(Answer(200, list[ModelLine], "the models"),),
            errors=(404, 409),
        ),
        Operation(
            "POST",
            "/models/{name:path}/probe",
            probe,
            "probeModel",
            "Find out what a model really does; it is called, which may cost",
            "models",
            "manage",
            description="Server-sent events: `line` for people, then `fitness`, then `end`. It stops where nobody listens.",
            body=Body(ProbeBody),
            answers=(Answer(200, description="the stream", media=STREAM),),
            errors=(409, 422),
            example=Example(body={"quick": True}, places={"name": "default"}),
            streams=True,
        ),
        *(_ability(what, known) for what, known in ABILITIES.items()),
        Operation(
            "GET",
            "/models/{name:path}",
            model,
            "getModel",
            "One model: its card as claimed and as the loop goes by it, what a probe found",
            "models",
            answers=(Answer(200, ModelDetail, "the model"),),
            errors=(409,),
            example=Example(places={"name": "default"}),
        ),
    )


def _ability(what: str, known: Ability) -> Operation:
    title = "".join(word.capitalize() for word in what.split("_"))
    of_bytes, nothing = known.result is bytes, known.result is None
    return Operation(
        "POST",
        f"/models/{{name:path}}/abilities/{what}",
        ability(what, known),
        f"use{title}",
        f"`{what}` of the model's provider",
        "models",
        "work" if what in ("embed", "moderate") else "manage",
        body=Body(known.arguments, f"the arguments of the port `Abilities.{what}`, in order, bytes as base64"),
        answers=(
            Answer(
                200,
                None if of_bytes else type(None) if nothing else known.result,
                "the result",
                media=BYTES if of_bytes else "",
            ),
        ),
        errors=(409, 422),
        example=Example(body=EXAMPLES[what], places={"name": "offering"}),
    )


EXAMPLES: dict[str, list[Any]] = {
    "embed": [["a text"]],
    "moderate": [[{"type": "text", "text": "a text"}]],
    "draw": [{"prompt": "a house"}],
    "speak": [{"text": "good morning", "voice": "alloy"}],
    "transcribe": ["UklGRg==", "audio/wav", "en"],
    "put_file": ["notes.txt", "bm90ZXM=", "user_data"],
    "files": [],
    "get_file": ["file-1"],
    "delete_file": ["file-1"],
    "start_batch": [
        {
            "first": {
                "model": "m",
                "instructions": "Be short.",
                "turns": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}],
            }
        }
    ],
    "batch": ["batch-1"],
    "batches": [],
    "cancel_batch": ["batch-1"],
}
"""The arguments of each ability, as an example."""
