"""Tasks: started, listed, looked at, told, answered, cancelled, exported, decided again."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.api import Artifact, OpenQuestion, Order, ReplayReport, TaskDetail
from agenthost.core.events import Recorded
from agenthost.core.lifecycle import State
from agenthost.core.parts import Message
from agenthost.core.ports import Filter, LedgerEntry
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import about, api_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation, query_of
from agenthost.wire.bodies import CancelBody, Found, ReplyBody, TaskPage

MOST_LISTED = 1000
"""Tasks or events in one page."""

_NUMBER = Annotated[int, Meta(ge=0, le=2**62)]
_LIMIT = Annotated[int, Meta(ge=1, le=MOST_LISTED, description="how many at most")]


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which tasks are wanted."""

    state: Annotated[tuple[State, ...], Meta(description="in one of these states (may stand more than once)")] = ()
    name: Annotated[str, Meta(description="of this agent or workflow")] = ""
    root: Annotated[str, Meta(description="of this task's tree")] = ""
    roots_only: Annotated[bool, Meta(description="without children")] = False
    namespace: Annotated[str, Meta(description="the caller's own, whatever is asked for")] = "default"
    limit: _LIMIT = 50
    before: Annotated[str, Meta(description="the `next` of the page before")] = ""


class Finding(Struct, frozen=True, forbid_unknown_fields=True):
    """Which task is meant."""

    prefix: Annotated[str, Meta(description="the beginning of its id; `last` is the newest")] = ""


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a journal is wanted."""

    after: Annotated[_NUMBER, Meta(description="the number of the last event that is known")] = 0
    limit: _LIMIT = MOST_LISTED


TAG = "tasks"
ONE = "/tasks/{task}"


async def start(request: Request) -> Response:
    order = await read_json(request, Order)
    key = request.headers.get("idempotency-key", "")
    if key and not order.key:
        order = msgspec.structs.replace(order, key=key)
    row = await api_of(request).start(order)
    about(request, row.id)
    return answer(row, 201)


async def listed(request: Request) -> Response:
    asked = query_of(request, Listing)
    wanted = Filter(
        namespace=asked.namespace,
        states=asked.state,
        root=asked.root,
        roots_only=asked.roots_only,
        name=asked.name,
        before=asked.before,
        limit=asked.limit,
    )
    rows = await api_of(request).tasks(wanted)
    return answer(TaskPage(tuple(rows), rows[-1].id if len(rows) >= asked.limit else ""))


async def find(request: Request) -> Response:
    return answer(Found(await api_of(request).find(query_of(request, Finding).prefix)))


async def show(request: Request) -> Response:
    return answer(await api_of(request).task(task_of(request)))


async def journal(request: Request) -> Response:
    page = query_of(request, Page)
    return answer(await api_of(request).events(task_of(request), page.after, page.limit))


async def say(request: Request) -> Response:
    await api_of(request).say(task_of(request), await read_json(request, Message))
    return Response(status_code=202)


async def reply(request: Request) -> Response:
    body = await read_json(request, ReplyBody)
    return answer(await api_of(request).reply(task_of(request), body.text, body.question, body.by))


async def cancel(request: Request) -> Response:
    body = await read_json(request, CancelBody)
    await api_of(request).cancel(task_of(request), body.by, body.reason)
    return Response(status_code=202)


async def artifacts(request: Request) -> Response:
    return answer(await api_of(request).artifacts(task_of(request)))


async def ledger(request: Request) -> Response:
    return answer(await api_of(request).ledger(task_of(request)))


async def export(request: Request) -> Response:
    return Response(await api_of(request).export(task_of(request)), media_type="application/zip")


async def replay(request: Request) -> Response:
    return answer(await api_of(request).replay(task_of(request)))


def task_of(request: Request) -> str:
    """The task that a path names."""
    return str(request.path_params["task"])


def operations() -> tuple[Operation, ...]:
    """What can be done with tasks."""
    return (*_of_all(), *_of_one(), *_told(), *_looked_into())


def _of_all() -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            "/tasks",
            start,
            "startTask",
            "Start work",
            TAG,
            "work",
            description="An agent or a workflow by name. `person`, `namespace` and `via` are the host's to say.",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(Order),
            answers=(Answer(201, TaskRow, "the task that was started"),),
            errors=(404, 409),
            example=Example(body={"name": "quick", "text": "hello"}),
            creates=True,
        ),
        Operation(
            "GET",
            "/tasks",
            listed,
            "listTasks",
            "Tasks, newest first",
            TAG,
            query=Listing,
            answers=(Answer(200, TaskPage, "a page of tasks; `next` where there are more"),),
            example=Example(query={"state": "completed", "limit": "20"}),
        ),
        Operation(
            "GET",
            "/find",
            find,
            "findTask",
            "The one task whose id begins so",
            TAG,
            query=Finding,
            answers=(Answer(200, Found, "its id"),),
            errors=(404,),
            example=Example(query={"prefix": "last"}),
        ),
    )


def _of_one() -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            ONE,
            show,
            "getTask",
            "A task with those below it, its open questions and what it has used",
            TAG,
            answers=(Answer(200, TaskDetail, "the task"),),
        ),
        Operation(
            "GET",
            f"{ONE}/journal",
            journal,
            "getJournal",
            "A page of one task's journal",
            TAG,
            query=Page,
            answers=(Answer(200, list[Recorded], "its events, in order"),),
            example=Example(query={"after": "0", "limit": "10"}),
        ),
    )


def _told() -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            f"{ONE}/messages",
            say,
            "sayToTask",
            "A message for a running task",
            TAG,
            "work",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(Message),
            answers=(Answer(202, description="it is kept, and seen at the task's next step"),),
            example=Example(
                body={"sender": "person", "parts": [{"type": "text", "text": "in French, please"}]}, of="slow"
            ),
            creates=True,
        ),
        Operation(
            "POST",
            f"{ONE}/replies",
            reply,
            "replyToTask",
            "Answer a question of a task or of one below it",
            TAG,
            "work",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(ReplyBody),
            answers=(Answer(200, OpenQuestion, "the question that was answered"),),
            example=Example(body={"text": "blue"}, of="asking"),
            creates=True,
        ),
        Operation(
            "POST",
            f"{ONE}/cancel",
            cancel,
            "cancelTask",
            "Have a task end, with everything below it",
            TAG,
            "work",
            body=Body(CancelBody),
            answers=(Answer(202, description="it ends as soon as what it does has stopped"),),
            example=Example(body={"reason": "no longer wanted"}, of="slow"),
        ),
    )


def _looked_into() -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            f"{ONE}/artifacts",
            artifacts,
            "listArtifacts",
            "The files of a task's workspace",
            TAG,
            answers=(Answer(200, list[Artifact], "path, content hash and size of each"),),
        ),
        Operation(
            "GET",
            f"{ONE}/ledger",
            ledger,
            "getLedger",
            "Every attempt at a model call of a task and those below it",
            TAG,
            answers=(Answer(200, list[LedgerEntry], "the attempts, in order"),),
        ),
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
    )
