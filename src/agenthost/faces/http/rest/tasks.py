"""Tasks: started, listed, looked at, told, answered, cancelled."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from agenthost.core.api import Artifact, OpenQuestion, Order, TaskDetail
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import State
from agenthost.core.parts import Message
from agenthost.core.ports import LedgerEntry
from agenthost.core.tasks import Filter, TaskRow
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of
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
from agenthost.faces.http.rest.files import linked
from agenthost.faces.http.rest.sending import ANSWERS, file_answer
from agenthost.wire.bodies import CancelBody, Found, Link, LinkBody, ReplyBody, TaskPage
from agenthost.wire.cursors import decode_change, decode_cursor, encode_change, encode_cursor

MOST_LISTED = 1000
"""Tasks or events in one page."""

_NUMBER = Annotated[int, Meta(ge=0, le=2**62)]
_TIME = Annotated[float, Meta(ge=0, le=1e12)]
_LIMIT = Annotated[int, Meta(ge=1, le=MOST_LISTED, description="how many at most")]


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which tasks are wanted."""

    state: Annotated[tuple[State, ...], Meta(description="in one of these states (may stand more than once)")] = ()
    name: Annotated[str, Meta(description="of this agent or workflow")] = ""
    person: Annotated[str, Meta(description="of this person")] = ""
    conversation: Annotated[str, Meta(description="of this conversation")] = ""
    text: Annotated[str, Meta(description="with this in the title", max_length=200)] = ""
    since: Annotated[_TIME, Meta(description="created from then on, in seconds since the epoch")] = 0.0
    until: Annotated[_TIME, Meta(description="created before then")] = 0.0
    changed_since: Annotated[_TIME, Meta(description="changed from then on")] = 0.0
    order: Annotated[
        Literal["created", "updated"], Meta(description="the newest first, or those that changed last")
    ] = "created"
    count: Annotated[bool, Meta(description="say in `total` how many there are in all")] = False
    root: Annotated[str, Meta(description="of this task's tree")] = ""
    roots_only: Annotated[bool, Meta(description="without children")] = False
    limit: _LIMIT = 50
    cursor: Annotated[str, Meta(description="the `next` of the page before")] = ""


class Paging(Struct, frozen=True, forbid_unknown_fields=True):
    """Which page is wanted."""

    limit: _LIMIT = 50
    cursor: Annotated[str, Meta(description="the `next` of the page before")] = ""


class Finding(Struct, frozen=True, forbid_unknown_fields=True):
    """Which task is meant."""

    prefix: Annotated[str, Meta(description="the beginning of its id; `last` is the newest", min_length=1)]


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
    return answer(row, 201)


async def listed(request: Request) -> Response:
    asked = query_of(request, Listing)
    wanted = Filter(
        states=asked.state,
        name=asked.name,
        person=asked.person,
        conversation=asked.conversation,
        text=asked.text,
        since=asked.since,
        until=asked.until,
        changed_since=asked.changed_since,
        order=asked.order,
        root=asked.root,
        roots_only=asked.roots_only,
        limit=asked.limit,
    )
    return await _page(request, wanted, asked.cursor, asked.count)


async def children(request: Request) -> Response:
    asked, task = query_of(request, Paging), task_of(request)
    await api_of(request).events(task, 0, 1)
    return await _page(request, Filter(root=root_id(task), parent=task, limit=asked.limit), asked.cursor)


async def _page(request: Request, wanted: Filter, cursor: str, count: bool = False) -> Response:
    by_change = wanted.order == "updated"
    at, before = decode_change(cursor) if by_change else (0.0, decode_cursor(cursor))
    api = api_of(request)
    rows = await api.tasks(msgspec.structs.replace(wanted, before=before, before_change=at))
    more = ""
    if len(rows) >= wanted.limit:
        more = encode_change(rows[-1].updated, rows[-1].id) if by_change else encode_cursor(rows[-1].id)
    return answer(TaskPage(tuple(rows), more, await api.count_tasks(wanted) if count else None))


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
    given = body.text, body.question, body.by, body.via or "rest", body.always
    return answer(await api_of(request).reply(task_of(request), *given))


async def questions(request: Request) -> Response:
    return answer(await api_of(request).questions())


async def cancel(request: Request) -> Response:
    body = await read_json(request, CancelBody)
    await api_of(request).cancel(task_of(request), body.by, body.reason)
    return Response(status_code=202)


async def pause(request: Request) -> Response:
    body = await read_json(request, CancelBody)
    await api_of(request).pause(task_of(request), body.by, body.reason)
    return Response(status_code=202)


async def resume(request: Request) -> Response:
    body = await read_json(request, CancelBody)
    await api_of(request).resume(task_of(request), body.by)
    return Response(status_code=202)


async def artifacts(request: Request) -> Response:
    return answer(await api_of(request).artifacts(task_of(request)))


async def artifact(request: Request) -> ASGIApp:
    found = await api_of(request).artifact(task_of(request), str(request.path_params["path"]))
    return await file_answer(request, api_of(request), found.digest, found.path)


async def link(request: Request) -> Response:
    body = await read_json(request, LinkBody)
    found = await api_of(request).artifact(task_of(request), str(request.path_params["path"]))
    return await linked(request, body, found.digest, found.path.rpartition("/")[2])


async def approvals(request: Request) -> Response:
    return answer((await api_of(request).task(task_of(request))).questions)


async def evidence(request: Request) -> Response:
    return answer(await api_of(request).evidence(task_of(request)))


async def ledger(request: Request) -> Response:
    return answer(await api_of(request).ledger(task_of(request)))


def task_of(request: Request) -> str:
    """The task that a path names."""
    return str(request.path_params["task"])


def operations() -> tuple[Operation, ...]:
    """What can be done with tasks."""
    return (*_of_all(), *_of_one(), *_told(), *_looked_into())


_PATH = {"path": Annotated[str, Meta(description="the file's path in the workspace", examples=["report.txt"])]}
_LINKS = {
    name: {"task": "$response.body#/id"}
    for name in (
        "getTask",
        "getJournal",
        "listChildren",
        "listArtifacts",
        "getEvidence",
        "getLedger",
        "cancelTask",
        "replayTask",
    )
}


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
            answers=(Answer(201, TaskRow, "the task that was started", links=_LINKS),),
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
            errors=(404,),
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
            f"{ONE}/children",
            children,
            "listChildren",
            "The tasks right below a task, newest first",
            TAG,
            query=Paging,
            answers=(Answer(200, TaskPage, "a page of tasks; `next` where there are more"),),
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


def _replying(path: str, name: str, what: str) -> Operation:
    return Operation(
        "POST",
        f"{ONE}/{path}",
        reply,
        name,
        what,
        TAG,
        "work",
        headers=(IDEMPOTENCY_KEY,),
        body=Body(ReplyBody),
        answers=(Answer(200, OpenQuestion, "the question that was answered"),),
        example=Example(body={"text": "blue"}, of="asking"),
        creates=True,
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
        _replying("replies", "replyToTask", "Answer a question of a task or of one below it"),
        Operation(
            "GET",
            f"{ONE}/approvals",
            approvals,
            "listApprovals",
            "What a task, and what is below it, asks people",
            TAG,
            answers=(Answer(200, list[OpenQuestion], "the open questions"),),
            example=Example(of="asking"),
        ),
        _replying("approvals", "answerApproval", "The same as `/replies`"),
        Operation(
            "GET",
            "/questions",
            questions,
            "listQuestions",
            "Every open question that you may answer, of any task: the oldest first, at most 200",
            TAG,
            "work",
            answers=(Answer(200, list[OpenQuestion], "the questions"),),
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
            errors=(409,),
            example=Example(body={"reason": "no longer wanted"}, of="slow"),
        ),
        Operation(
            "POST",
            f"{ONE}/pause",
            pause,
            "pauseTask",
            "Have a task rest, with everything below it, until it is resumed",
            TAG,
            "work",
            body=Body(CancelBody),
            answers=(Answer(202, description="it begins nothing more; what is under way ends first"),),
            errors=(409,),
            example=Example(body={"reason": "not today"}, of="slow"),
        ),
        Operation(
            "POST",
            f"{ONE}/resume",
            resume,
            "resumeTask",
            "Have a paused task go on, with everything below it",
            TAG,
            "work",
            body=Body(CancelBody),
            answers=(Answer(202, description="it goes on"),),
            errors=(409,),
            example=Example(body={}, of="paused"),
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
            f"{ONE}/artifacts/{{path:path}}",
            artifact,
            "getArtifact",
            "One file of a task's workspace",
            TAG,
            headers=(RANGE, IF_NONE_MATCH),
            answers=ANSWERS,
            errors=(416,),
            places=_PATH,
        ),
        Operation(
            "POST",
            f"{ONE}/links/{{path:path}}",
            link,
            "linkArtifact",
            "A link that opens the file, as it is now, for whoever has it, for a while",
            TAG,
            headers=(IDEMPOTENCY_KEY,),
            body=Body(LinkBody),
            answers=(Answer(201, Link, "the link: a path on this host"),),
            example=Example(body={"seconds": 600}),
            places=_PATH,
            creates=True,
        ),
        Operation(
            "GET",
            f"{ONE}/evidence",
            evidence,
            "getEvidence",
            "What shows how a task ended: criteria, checks, hashes, by event number",
            TAG,
            answers=(Answer(200, EvidencePack, "the pack; it follows from the journal alone"),),
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
    )
