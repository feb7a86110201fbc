"""`ListTasks`: the caller's tasks of one agent, the last changed first, in pages (specification 3.1.4)."""

from fractions import Fraction

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
from msgspec.structs import replace

from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.a2a import words
from agenthost.faces.http.a2a.seats import Seat
from agenthost.faces.http.a2a.tasks import Shown, summary_of, task_of

NANO = 1_000_000_000


async def page(seat: Seat, agent: str, params: ListTasksRequest) -> ListTasksResponse:
    """One page: no more rows are read than it has, and one. Raises InvalidParamsError."""
    validate_history_length(params)
    if params.HasField("page_size"):
        validate_page_size(params.page_size)
    size = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
    wanted = _wanted(seat, agent, params)
    if wanted is None:
        return ListTasksResponse(page_size=size)
    at, before = _after(params.page_token)
    rows = await seat.api.tasks(replace(wanted, before=before, before_change=at, limit=size + 1))
    more = ""
    if len(rows) > size:
        last = rows[size - 1]
        more = encode_list_tasks_cursor(ListTasksCursor(nanoseconds(last.updated), last.id))
    tasks = [await _shown(seat, row, params) for row in rows[:size]]
    total = await seat.api.count_tasks(wanted)
    return ListTasksResponse(tasks=tasks, next_page_token=more, page_size=size, total_size=total)


def _wanted(seat: Seat, agent: str, params: ListTasksRequest) -> Filter | None:
    """What the store is asked for; None where there is no such state here."""
    state = words.OURS.get(int(params.status)) if params.status else None
    if params.status and state is None:
        return None
    after = words.seconds(params.status_timestamp_after) if params.HasField("status_timestamp_after") else 0.0
    return Filter(
        seat.caller.namespace,
        (state,) if state else (),
        roots_only=True,
        name=agent,
        conversation=params.context_id,
        order="updated",
        changed_since=after,
    )


def _after(token: str) -> tuple[float, str]:
    """Where the page before ended: the time is the very float that `nanoseconds` was given."""
    if not token:
        return 0.0, ""
    cursor = decode_list_tasks_cursor(token)
    if cursor is None or cursor.timestamp_ns is None:
        raise InvalidParamsError("the page token is none of this host's; take it from the page before")
    return cursor.timestamp_ns / NANO, cursor.task_id


def nanoseconds(seconds: float) -> int:
    """A time in whole nanoseconds, from which `/ NANO` gives the same float again.

    Reckoned exactly: a product of floats is off by up to 128 ns in our century, which can make it the float beside.
    """
    return round(Fraction(seconds) * NANO)


async def _shown(seat: Seat, row: TaskRow, params: ListTasksRequest) -> Task:
    history = params.history_length if params.HasField("history_length") else 0
    if row.state in FINAL and not history and not params.include_artifacts:
        return summary_of(row)
    detail = await seat.api.task(row.id)
    task = await task_of(seat.api, detail, seat.base, Shown(history, params.include_artifacts))
    return apply_history_length(task, params)
