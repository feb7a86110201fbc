"""Reads of the journal: replay (decide again and compare) and export (a task as one file)."""

import asyncio
import io
import zipfile
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from agenthost.core.api import ReplayReport
from agenthost.core.budgets import Spend
from agenthost.core.commands import Command, Finish
from agenthost.core.errors import AgentHostError, Unusable
from agenthost.core.events import Answered, Asked, ChildResult, Created, Finished, Recorded, Started
from agenthost.core.ids import root_id
from agenthost.core.parts import FilePart
from agenthost.core.ports import Blobs, Program, Store
from agenthost.core.tasks import TaskRow, TaskSpec

MOST_EXPORTED = 512 * 1024 * 1024
"""Bytes of files in one export: it is held in memory."""


def replay(program: Program[Any], spec: TaskSpec, events: Sequence[Recorded]) -> ReplayReport:
    """Decide a journal again from its events, perform nothing, and compare what is asked.

    Where a run of `asked` begins, the program decides from the state before it: its commands must be
    the ones that were journalled, in order; `finished` must be what it wants at that point.
    """
    state = program.initial(spec)
    finished = False
    waiting: list[Command | Finish] = []
    commands = 0
    asking = False
    for recorded in events:
        event = recorded.event
        if isinstance(event, Asked | Finished):
            if not asking:
                waiting = list(program.decide(state))
                asking = True
            wanted = _take(waiting, event)
            if wanted is not None:
                return ReplayReport(spec.id, len(events), commands, False, wanted, recorded.seq)
            commands += 1
            finished = isinstance(event, Finished)
        elif not isinstance(event, Started):
            if asking and waiting:
                return _unasked(spec, events, commands, waiting, recorded.seq)
            asking = False
        state = program.apply(state, recorded)
    if asking and waiting and not finished:
        return _unasked(spec, events, commands, waiting, len(events))
    return ReplayReport(spec.id, len(events), commands, True)


def gap(row: TaskRow, events: Sequence[Recorded]) -> ReplayReport | None:
    """What is missing from a journal, or was added to it, told from its numbers; None where it is whole."""
    for number, recorded in enumerate(events, 1):
        if recorded.seq != number:
            return ReplayReport(row.id, len(events), 0, False, f"the journal has no event {number}", number)
    if not events or not isinstance(events[0].event, Created):
        return ReplayReport(row.id, len(events), 0, False, "the journal doesn't begin with the task's making", 1)
    # A step may have been committed between the reading of the row and that of the journal.
    if len(events) < row.seq:
        why = f"the task has {row.seq} events, and its journal only {len(events)}"
        return ReplayReport(row.id, len(events), 0, False, why, len(events) + 1)
    return None


def _unasked(
    spec: TaskSpec, events: Sequence[Recorded], commands: int, waiting: Sequence[Command | Finish], seq: int
) -> ReplayReport:
    why = f"the program asks also for {waiting[0]}, and the journal doesn't"
    return ReplayReport(spec.id, len(events), commands, False, why, seq)


def _take(waiting: list[Command | Finish], event: Asked | Finished) -> str | None:
    """Take what was journalled from what the program wants now; the difference, if there is one."""
    if isinstance(event, Finished):
        finish = next((command for command in waiting if isinstance(command, Finish)), None)
        if finish is None:
            return "the journal says that the task ended; the program would go on"
        if finish.verdict != event.verdict:
            return f"the journal's verdict is {event.verdict}; the program's is {finish.verdict}"
        if (finish.parts, finish.artifacts) != (event.parts, event.artifacts):
            return "the journal's output is not the program's"
        return None
    if not waiting:
        return f"the journal has the command {event.command}; the program asks for nothing"
    command = waiting.pop(0)
    if command != event.command:
        return f"the journal has the command {event.command}; the program asks for {command}"
    return None


async def export(store: Store, blobs: Blobs, journals: dict[str, list[Recorded]], bundles: dict[str, bytes]) -> bytes:
    """A zip: `tasks/ID.jsonl` (one event a line), `definitions/`, `files/`, `blobs/` by content hash, `ledger.json`. Raises
    Unusable where it holds more than MOST_EXPORTED bytes."""
    buffer = io.BytesIO()
    digests: set[str] = set()
    room = MOST_EXPORTED

    async def file(name: str, digest: str) -> None:
        nonlocal room
        room -= await blobs.size(digest)
        if room < 0:
            raise Unusable(
                f"the task's files are more than {MOST_EXPORTED >> 20} MB, the most that an export holds; take them one by one"
            )
        # Beside the loop: it packs some 30 MB a second.
        await asyncio.to_thread(archive.writestr, name, await blobs.get(digest))

    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for task, events in journals.items():
            lines = [msgspec.json.encode(recorded) for recorded in events]
            await asyncio.to_thread(archive.writestr, f"tasks/{task}.jsonl", b"\n".join(lines) + b"\n")
            for recorded in events:
                digests |= digests_in(recorded)
            root = task.partition(".")[0]
            for path, digest in (await store.files(root)).items() if task == root else ():
                await file(f"files/{path}", digest)
        for digest, body in bundles.items():
            archive.writestr(f"definitions/{digest.partition(':')[2]}.json", body)
        ledger = await store.ledger(next(iter(journals)).partition(".")[0])
        archive.writestr("ledger.json", msgspec.json.format(msgspec.json.encode(ledger), indent=2))
        for digest in sorted(digests - bundles.keys()):
            name = f"blobs/{digest.partition(':')[2]}"
            try:
                await file(name, digest)
            except Unusable:
                raise
            except AgentHostError as error:
                archive.writestr(f"{name}.missing", error.message)
    return buffer.getvalue()


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
