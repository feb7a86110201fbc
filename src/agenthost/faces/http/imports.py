"""Tasks that were done elsewhere, taken in: `POST /imports`."""

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.importing import ImportOrder, TakenIn
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation
from agenthost.host.importing.desk import Desk


def operations(desk: Desk) -> tuple[Operation, ...]:
    """Imports, below the API's root."""

    async def take(request: Request) -> Response:
        order = await read_json(request, ImportOrder)
        return answer(await desk.of(caller_of(request)).take(order), 201)

    return (
        Operation(
            "POST",
            "/imports",
            take,
            "importTask",
            "Take in an export that was put here as a file, as a task of one's own that rests for good",
            "Tasks",
            "work",
            description="Nothing of it is carried out: it is there to be shown, replayed, forked and exported.",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(ImportOrder, "the content hash of the export"),
            answers=(Answer(201, TakenIn, "the task as it is here, and its id there"),),
            errors=(404, 409, 422),
            example=Example(body={"file": "sha256:" + "0" * 64}, status=404),
            creates=True,
        ),
    )
