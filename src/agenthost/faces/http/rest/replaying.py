"""Tasks done over: taken along, decided again, gone on with from an event, tried with another model."""

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.replaying import Contrast, ForkOrder, ReplayReport, TrialOrder
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation
from agenthost.faces.http.rest.tasks import ONE, TAG, task_of


async def export(request: Request) -> Response:
    return Response(await api_of(request).export(task_of(request)), media_type="application/zip")


async def replay(request: Request) -> Response:
    return answer(await api_of(request).replay(task_of(request)))


async def fork(request: Request) -> Response:
    return answer(await api_of(request).fork(task_of(request), await read_json(request, ForkOrder)), 201)


async def try_again(request: Request) -> Response:
    return answer(await api_of(request).try_again(await read_json(request, TrialOrder)), 201)


async def contrast(request: Request) -> Response:
    return answer(await api_of(request).contrast(task_of(request)))


def operations() -> tuple[Operation, ...]:
    """What is done with what was recorded."""
    return (
        Operation(
            "GET",
            f"{ONE}/export",
            export,
            "exportTask",
            "A task with everything below it as a zip",
            TAG,
            answers=(Answer(200, description="journals, definitions and files", media="application/zip"),),
        ),
        Operation(
            "POST",
            f"{ONE}/replay",
            replay,
            "replayTask",
            "Decide a task's journal again and compare; nothing is performed",
            TAG,
            answers=(Answer(200, list[ReplayReport], "how far each journal agrees"),),
        ),
        Operation(
            "POST",
            f"{ONE}/fork",
            fork,
            "forkTask",
            "A new task that goes on from an event of this one",
            TAG,
            "work",
            description="`person`, `namespace` and `via` are the host's to say.",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(ForkOrder),
            answers=(Answer(201, TaskRow, "the new task"),),
            errors=(404, 409),
            example=Example(body={"text": "and once more, shorter"}),
            creates=True,
        ),
        Operation(
            "POST",
            "/trials",
            try_again,
            "tryTask",
            "A task once more with another model, its tools answered from the recording; nothing else is performed",
            TAG,
            "work",
            description="Of a task here, or of an export that was put here as a file. `person`, `namespace` and `via` are the "
            "host's to say.",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(TrialOrder),
            answers=(Answer(201, TaskRow, "the trial, a task of its own"),),
            errors=(404, 409),
            example=Example(body={"file": "sha256:" + "0" * 64, "model": "default"}),
            creates=True,
        ),
        Operation(
            "GET",
            f"{ONE}/contrast",
            contrast,
            "contrastTrial",
            "What a trial did, turn by turn, beside what was recorded",
            TAG,
            answers=(Answer(200, Contrast, "both ends, and each turn then and now"),),
            errors=(422,),
        ),
    )
