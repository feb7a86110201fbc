"""A task of ours as A2A's Task, read from the journal each time it is asked for."""

from collections.abc import Iterable

from a2a.types.a2a_pb2 import Artifact, Message, Part, Role, Task
from msgspec import Struct

from agenthost.core.api import HostApi, OpenQuestion, TaskDetail
from agenthost.core.commands import Ask
from agenthost.core.errors import NotFound
from agenthost.core.events import Answered, Asked, Created, Finished, Received, Recorded, Reply
from agenthost.core.lifecycle import FINAL, State
from agenthost.core.media import named_type
from agenthost.core.parts import FilePart
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.a2a import words

ANSWER = "answer"
"""The artifact that is what the agent said at the end."""
MOST_FILES = 200
MOST_INLINE = 8 * 1024 * 1024
PAGE = 1000


class Shown(Struct, frozen=True):
    """How much of a task is wanted. `history`: the newest messages, None for all of them."""

    history: int | None = None
    artifacts: bool = True


def context_of(row: TaskRow) -> str:
    """A task's contextId: the conversation it belongs to, else itself."""
    return row.conversation or row.id


async def detail_of(api: HostApi, task: str, agent: str) -> TaskDetail:
    """A task of an agent. Raises NotFound, also for one of another agent and for a part of a task."""
    detail = await api.task(task)
    if detail.row.parent or detail.row.name != agent:
        raise NotFound(f"the agent '{agent}' has no task '{task}'")
    return detail


async def journal(api: HostApi, task: str) -> list[Recorded]:
    """A task's whole journal."""
    found: list[Recorded] = []
    while True:
        page = await api.events(task, found[-1].seq if found else 0, PAGE)
        found += page
        if len(page) < PAGE:
            return found


async def task_of(api: HostApi, detail: TaskDetail, base: str, shown: Shown | None = None) -> Task:
    """A task as it is now, all of it where nothing else is wanted."""
    shown = shown or Shown()
    row, asks = detail.row, detail.questions
    state = words.shown_state(row.state, [asked.ask for asked in asks])
    task = Task(id=row.id, context_id=context_of(row), metadata=words.struct_of({"agent": row.name}))
    events: list[Recorded] = []
    if shown.history != 0 or (shown.artifacts and row.state in FINAL):
        events = await journal(api, row.id)
    if shown.history != 0:
        history = [message async for message in _history(api, row, events, base)]
        task.history.extend(history if shown.history is None else history[-shown.history :])
    if shown.artifacts:
        task.artifacts.extend(await artifacts_of(api, row, _finished(events), base))
    task.status.CopyFrom(words.status(state, row.updated, status_message(row, state, asks)))
    return task


def summary_of(row: TaskRow) -> Task:
    """A task as its row alone tells it."""
    status = words.status(row.state, row.updated, status_message(row, row.state, ()))
    return Task(id=row.id, context_id=context_of(row), status=status, metadata=words.struct_of({"agent": row.name}))


def status_message(row: TaskRow, state: State, asks: Iterable[OpenQuestion]) -> Message | None:
    """What is to be said to a state: the question that waits, or why it ended without being done."""
    for asked in asks:
        return words.question(row.id, context_of(row), asked)
    if state in ("failed", "rejected", "canceled") and row.reason:
        return words.spoken(f"{row.id}/end", row.id, context_of(row), [Part(text=row.reason)])
    return None


def _finished(events: list[Recorded]) -> Finished | None:
    last = events[-1].event if events else None
    return last if isinstance(last, Finished) else None


async def artifacts_of(api: HostApi, row: TaskRow, finished: Finished | None, base: str) -> list[Artifact]:
    """What a task produced: what it answered, and the files of its workspace."""
    found: list[Artifact] = []
    if finished is not None and finished.parts:
        parts = [await words.part_of(api, part, base) for part in finished.parts]
        found.append(Artifact(artifact_id=ANSWER, name=ANSWER, parts=parts))
    room = MOST_INLINE
    for file in (await api.artifacts(row.id))[:MOST_FILES]:
        name = file.path.rpartition("/")[2]
        kept = FilePart(file.digest, named_type(name), file.size, name)
        if file.size > room:
            part = Part(url=f"{base}{words.FILES}{file.digest}", filename=name, media_type=kept.media_type)
        else:
            part = await words.part_of(api, kept, base)
            room -= file.size
        found.append(Artifact(artifact_id=f"file:{file.path}", name=file.path, parts=[part]))
    return found


async def _history(api: HostApi, row: TaskRow, events: list[Recorded], base: str):
    """What was said, in order: by whoever gave the work, and the questions with their answers."""
    asked: dict[str, Ask] = {}
    context = context_of(row)
    for recorded in events:
        event = recorded.event
        place = f"{row.id}/{recorded.seq}"
        if isinstance(event, Created | Received):
            said = event.spec.message if isinstance(event, Created) else event.message
            parts = [await words.part_of(api, part, base) for part in said.parts]
            yield words.spoken(said.id or place, row.id, context, parts, Role.ROLE_USER)
        elif isinstance(event, Asked) and isinstance(event.command, Ask):
            asked[event.command.id] = event.command
            yield words.question(row.id, context, OpenQuestion(row.id, event.command, recorded.at))
        elif isinstance(event, Answered) and event.command in asked and isinstance(event.answer, Reply):
            yield words.spoken(place, row.id, context, [Part(text=event.answer.text)], Role.ROLE_USER)
