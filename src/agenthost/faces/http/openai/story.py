"""A task's journal as answers: where one begins, what is open there, what was said before it."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, cast

from msgspec import Struct

from agenthost.core.api import HostApi, LiveDelta, OpenQuestion, TaskDetail
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError
from agenthost.core.events import Answered, Asked, Created, Finished, Recorded, Reply
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import ModelAnswer
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.faces.http.openai.ids import Place
from agenthost.faces.http.openai.reader import End, Reader, in_run, question_text, text_of

PAGE = 1000


class Beginning(Struct):
    """Where an answer begins: its place, the task's row, and what to follow after, by task.

    `question`: it is this question at once, which nobody has answered yet. `known`: up to this event of the root's it is
    in the past."""

    place: Place
    row: TaskRow
    after: dict[str, int] | None = None
    question: OpenQuestion | None = None
    known: int = 0


class Story(Struct):
    """A task's tree, its events in the order in which they happened."""

    detail: TaskDetail
    events: list[Recorded]

    @property
    def spec(self) -> TaskSpec:
        first = self.events[0].event
        assert isinstance(first, Created)
        return first.spec

    def after(self, seq: int) -> dict[str, int]:
        """The last event of each journal among the first `seq` of the tree."""
        return {recorded.task: recorded.seq for recorded in self.events[:seq]}

    def asked(self) -> dict[str, Ask]:
        """Every call of a tool of the client's, by the question's id."""
        return {
            recorded.event.command.id: recorded.event.command
            for recorded in self.events
            if isinstance(recorded.event, Asked)
            and isinstance(recorded.event.command, Ask)
            and recorded.event.command.kind == "tool"
        }

    def answers(self) -> dict[str, tuple[int, str]]:
        """What the root's questions were answered with: where among the tree's events, and the words."""
        return {
            recorded.event.command: (at, recorded.event.answer.text)
            for at, recorded in enumerate(self.events)
            if isinstance(recorded.event, Answered)
            and isinstance(recorded.event.answer, Reply)
            and recorded.task == self.detail.row.id
        }

    def waits(self, place: Place) -> OpenQuestion | None:
        """The open question to a person that the answer at a place ended with, or was at once."""
        ended = self.events[: self.until(place.seq)]
        asked = {(each.task, each.event.command.id) for each in ended if isinstance(each.event, Asked)}
        open = (each for each in self.detail.questions if each.ask.kind != "tool")
        return next((each for each in open if (each.task, each.ask.id) in asked), None)

    def words(self, seq: int) -> str:
        """What the root said by its event number `seq`: a model's answer that was asked for there, a question, the end."""
        own = [recorded for recorded in self.events if recorded.task == self.detail.row.id]
        event = own[seq - 1].event if 0 < seq <= len(own) else None
        if isinstance(event, Finished):
            return text_of(event.parts)
        if not isinstance(event, Asked):
            return ""
        if isinstance(event.command, Ask):
            return question_text(event.command)
        answers = (recorded.event for recorded in own[seq:] if isinstance(recorded.event, Answered))
        answer = next((each.answer for each in answers if each.command == event.command.id), None)
        return answer.text if isinstance(answer, ModelAnswer) else ""

    def tell(self, reader: Reader, seq: int) -> End | None:
        """Read what comes after the first `seq` events, up to the end of that answer; None where it goes on."""
        for recorded in self.events[seq : self.until(seq)]:
            reader.event(recorded)
        return reader.end() if reader.finished or reader.calls or reader.question else None

    def until(self, seq: int) -> int:
        """Where the answer that begins after the first `seq` events ends, or is by now."""
        calls = False
        for at in range(seq, len(self.events)):
            recorded = self.events[at]
            event = recorded.event
            if calls and not in_run(recorded):
                return at
            own = recorded.task == self.detail.row.id
            if isinstance(event, Asked) and isinstance(event.command, Ask):
                calls = calls or (own and event.command.kind == "tool")
                if not calls:
                    return at + 1
            elif isinstance(event, Finished) and own:
                return at + 1
        return len(self.events)


async def load(api: HostApi, task: str) -> Story:
    """A task with everything below it. Raises NotFound."""
    detail = await api.task(task)
    found: list[tuple[float, Recorded]] = []
    for row in (detail.row, *detail.children):
        latest, last = 0.0, 0
        while True:
            page = await api.events(row.id, last, PAGE)
            for recorded in page:
                # A clock that was set back must not change the order within a journal.
                latest = max(latest, recorded.at)
                found.append((latest, recorded))
            last = page[-1].seq if page else last
            if len(page) < PAGE:
                break
    found.sort(key=lambda each: (each[1].task == task and isinstance(each[1].event, Finished), each[0]))
    return Story(detail, [recorded for _, recorded in found])


def now(detail: TaskDetail) -> Beginning:
    """Of the answer that begins where a task is."""
    rows = (detail.row, *detail.children)
    after = {row.id: row.seq for row in rows}
    return Beginning(Place(detail.row.id, sum(after.values())), detail.row, after, known=detail.row.seq)


async def answered(api: HostApi, detail: TaskDetail, replies: dict[str, str], by: str) -> Beginning:
    """Answer questions (`TASK/ID`, and the words); where the answer to that begins."""
    begins = now(detail)
    for question, text in replies.items():
        await api.reply(detail.row.id, text, question, by, "openai")
    rest = [open for open in detail.questions if f"{open.task}/{open.ask.id}" not in replies]
    begins.question = rest[0] if rest else None
    return begins


async def follow(
    api: HostApi, begins: Beginning, reader: Reader, room: Callable[[], Awaitable[None]] | None = None
) -> End:
    """Read a task as it goes on, until this answer of it ends. `room` waits until more can be told."""
    if begins.question is not None:
        reader.question = (begins.question.task, begins.question.ask)
        return reader.end()
    task = begins.row.id
    items = api.follow(task, begins.after)
    try:
        async for item in items:
            if type(item) is LiveDelta:
                reader.delta(item)
                if room is not None:
                    await room()
                continue
            reader.event(cast(Recorded, item))
            if reader.calls:
                # What one answer led to was committed together: the rest of it is in the journal.
                for more in await api.events(task, reader.seq, PAGE):
                    if not in_run(more):
                        break
                    reader.event(more)
            if reader.finished or reader.calls or reader.question:
                return reader.end()
    finally:
        await _release(items)
    row = (await api.task(task)).row
    why = f"is held ({row.hold}): {row.reason}" if row.state not in FINAL else "has no end in its journal"
    raise AgentHostError(f"the task {task} {why}; see `agenthost tasks show {task}`")


async def last(api: HostApi, begins: Beginning) -> bool:
    """Wait until a task has ended; whether it has an end in its journal."""
    items = api.follow(begins.row.id, begins.after)
    try:
        async for item in items:
            if isinstance(item, Recorded) and item.task == begins.row.id and isinstance(item.event, Finished):
                return True
    finally:
        await _release(items)
    return False


async def _release(items: AsyncIterator[Any]) -> None:
    if isinstance(items, AsyncGenerator):
        await cast("AsyncGenerator[Any]", items).aclose()
