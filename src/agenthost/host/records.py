"""Reads of the journal: what came into it, what is open in it."""

from collections.abc import Sequence
from typing import Any, cast

from msgspec import Struct

from agenthost.core.budgets import Spend
from agenthost.core.commands import Command
from agenthost.core.events import Answered, Asked, ChildResult, Created, Finished, Recorded
from agenthost.core.ids import root_id
from agenthost.core.parts import FilePart
from agenthost.core.ports import Store
from agenthost.core.tasks import TaskSpec


def digests_in(recorded: Recorded) -> set[str]:
    """The content hashes of the files that came into a task with an event: given with the work or a message, made by a
    tool or a model, written into the workspace. A hash that somebody wrote in words or data is no file of theirs; so what
    a program asks, passes on and ends with counts for nothing, since it may be made of such data."""
    found: set[str] = set()
    event = recorded.event
    if isinstance(event, Asked | Finished) or (isinstance(event, Created) and recorded.task != root_id(recorded.task)):
        return found
    if isinstance(event, Answered) and isinstance(event.answer, ChildResult):
        return {digest for digest in event.answer.changes.values() if digest}
    if isinstance(event, Created):
        found |= set(event.spec.files.values())
    _collect(event, found)
    return found


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, FilePart):
        found.add(value.digest)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            inner: Any = getattr(value, name)
            if name == "changes" and isinstance(inner, dict):
                found |= {digest for digest in cast("dict[str, str | None]", inner).values() if digest}
            elif name == "inputs" and isinstance(inner, dict):
                for given in cast("dict[str, Any]", inner).values():
                    _collect_input(given, found)
            elif isinstance(inner, Struct | tuple | list):
                _collect(inner, found)
    elif isinstance(value, tuple | list):
        for item in cast("Sequence[Any]", value):
            _collect(item, found)


def _collect_input(given: Any, found: set[str]) -> None:
    """A file among a workflow's inputs: those were looked at when the work was given."""
    file = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    digest = file.get("digest")
    if file.get("type") == "file" and isinstance(digest, str):
        found.add(digest)


def spec_of(events: Sequence[Recorded]) -> TaskSpec:
    """The specification that a journal begins with."""
    first = events[0].event
    assert isinstance(first, Created)
    return first.spec


def open_commands(events: Sequence[Recorded]) -> list[tuple[Command, float]]:
    """The commands of a journal that have no answer, and when they were asked."""
    opened: dict[str, tuple[Command, float]] = {}
    for recorded in events:
        event = recorded.event
        if isinstance(event, Asked):
            opened[event.command.id] = (event.command, recorded.at)
        elif isinstance(event, Answered):
            opened.pop(event.command, None)
        elif isinstance(event, Finished):
            opened.clear()
    return list(opened.values())


async def spent(store: Store, task: str) -> Spend:
    """What a task and everything below it has used; an attempt that isn't settled counts at its worst case."""
    total = Spend()
    for entry in await store.ledger(root_id(task)):
        if entry.task == task or entry.task.startswith(task + "."):
            total += entry.spent if entry.settled and entry.spent is not None else entry.worst
    return total
