"""The whole of REST, in one table."""

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.api import Health
from agenthost.faces.http.bodies import answer
from agenthost.faces.http.operations import Answer, Operation
from agenthost.faces.http.rest import accounts, events, files, manifests, messages, people, replaying, system, tasks
from agenthost.faces.http.site import Site


def operations(site: Site) -> tuple[Operation, ...]:
    """Every operation of the host's own API."""
    return (
        *_health(site),
        *tasks.operations(),
        *replaying.operations(),
        *events.operations(site),
        *messages.operations(site),
        *files.operations(site),
        *manifests.operations(),
        *people.operations(),
        *accounts.operations(),
        *system.operations(site),
    )


def _health(site: Site) -> tuple[Operation, ...]:
    async def alive(request: Request) -> Response:
        return answer(Health())

    async def ready(request: Request) -> Response:
        why = site.ready()
        return answer(Health(why or "ok"), 503 if why else 200)

    good = Answer(200, Health, "it is")
    return (
        Operation(
            "GET",
            "/healthz",
            alive,
            "getHealth",
            "Whether the host is alive",
            "health",
            None,
            answers=(good,),
            above="",
        ),
        Operation(
            "GET",
            "/readyz",
            ready,
            "getReadiness",
            "Whether the host takes work",
            "health",
            None,
            answers=(good, Answer(503, Health, "it doesn't, and why")),
            above="",
        ),
    )
