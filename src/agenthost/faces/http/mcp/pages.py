"""Addresses of what a host has, and lists in pages."""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote, unquote

from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError, BadInput

T = TypeVar("T")
PAGE = 200
"""Entries of a page of tools, resources or prompts."""
TASKS = "agenthost://tasks/"
_NONE_OF_OURS = "the cursor is not one of this list's; begin again without one"


def artifact_uri(task: str, path: str) -> str:
    """Where a file of a task's workspace is read."""
    return f"{TASKS}{task}/artifacts/{quote(path)}"


def task_of(uri: str) -> tuple[str, str]:
    """The task of an address, and the path of its file, empty where it is the task itself. Raises BadInput."""
    task, _, rest = uri.removeprefix(TASKS).partition("/")
    kind, _, path = rest.partition("/")
    if not task or (rest and (kind != "artifacts" or not path)):
        raise BadInput(f"'{uri}' is no address here: {TASKS}TASK, or {TASKS}TASK/artifacts/PATH")
    return task, unquote(path)


def page(items: Sequence[T], cursor: str | None) -> tuple[list[T], str | None]:
    """A page of a list, and the cursor of the next. Raises BadInput for a cursor that nobody gave."""
    start = read_cursor(cursor)
    return list(items[start : start + PAGE]), (write_cursor(start + PAGE) if start + PAGE < len(items) else None)


def write_cursor(place: int) -> str:
    """A place in a list as a cursor."""
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> int:
    """The place that a cursor stands for."""
    if cursor is None:
        return 0
    try:
        place = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = -1
    if place < 0:
        raise BadInput(_NONE_OF_OURS)
    return place


async def after_task(api: HostApi, cursor: str) -> str:
    """The task that a page of tasks goes on after, where the caller has it. Raises BadInput."""
    try:
        return (await api.task(cursor)).row.id if cursor else ""
    except AgentHostError as error:
        raise BadInput(_NONE_OF_OURS) from error
