"""`ListTasks`: the caller's tasks of one agent, the last changed first, in pages (specification 3.1.4)."""

from a2a.types.a2a_pb2 import ListTasksRequest, ListTasksResponse, Task
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InvalidParamsError
from a2a.utils.task import (
    ListTasksCursor,
    apply_history_length,
    decode_list_tasks_cursor,
    encode_list_tasks_cursor,
    validate_history_length,
    validate_page_size,
)

from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.a2a import words
from agenthost.faces.http.a2a.seats import Seat
from agenthost.faces.http.a2a.tasks import Shown, context_of, summary_of, task_of

AT_ONCE = 1000


async def page(seat: Seat, agent: str, params: ListTasksRequest) -> ListTasksResponse:
    """One page. Raises InvalidParamsError."""
    validate_history_length(params)
    if params.HasField("page_size"):
        validate_page_size(params.page_size)
    size = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
    rows = [row for row in await _rows(seat, agent, params) if _wanted(row, params)]
    rows.sort(key=_place, reverse=True)
    total = len(rows)
    if params.page_token:
        cursor = decode_list_tasks_cursor(params.page_token)
        if cursor is None or cursor.timestamp_ns is None:
            raise InvalidParamsError("the page token is none of this host's; take it from the page before")
        after = (cursor.timestamp_ns, cursor.task_id)
        rows = [row for row in rows if _place(row) < after]
    tasks = [await _shown(seat, row, params) for row in rows[:size]]
    more = ""
    if len(rows) > size:
        at, id = _place(rows[size - 1])
        more = encode_list_tasks_cursor(ListTasksCursor(at, id))
    return ListTasksResponse(tasks=tasks, next_page_token=more, page_size=size, total_size=total)


async def _rows(seat: Seat, agent: str, params: ListTasksRequest) -> list[TaskRow]:
    wanted = Filter(seat.caller.namespace, roots_only=True, name=agent, limit=AT_ONCE)
    if params.context_id:
        wanted = Filter(
            seat.caller.namespace, roots_only=True, name=agent, conversation=params.context_id, limit=AT_ONCE
        )
    found: list[TaskRow] = []
    while True:
        rows = await seat.api.tasks(wanted)
        found += rows
        if len(rows) < AT_ONCE:
            return found
        wanted = Filter(
            wanted.namespace,
            roots_only=True,
            name=agent,
            conversation=wanted.conversation,
            before=rows[-1].id,
            limit=AT_ONCE,
        )


def _wanted(row: TaskRow, params: ListTasksRequest) -> bool:
    if params.context_id and context_of(row) != params.context_id:
        return False
    if params.status and words.OURS.get(int(params.status)) != row.state:
        return False
    return not (
        params.HasField("status_timestamp_after") and row.updated < words.seconds(params.status_timestamp_after)
    )


def _place(row: TaskRow) -> tuple[int, str]:
    return int(row.updated * 1_000_000) * 1000, row.id


async def _shown(seat: Seat, row: TaskRow, params: ListTasksRequest) -> Task:
    history = params.history_length if params.HasField("history_length") else 0
    if row.state in FINAL and not history and not params.include_artifacts:
        return summary_of(row)
    detail = await seat.api.task(row.id)
    task = await task_of(seat.api, detail, seat.base, Shown(history, params.include_artifacts))
    return apply_history_length(task, params)
