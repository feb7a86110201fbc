"""A task as it goes on: the journal's events, and the model's words while they come, as A2A's stream of updates."""

from collections.abc import AsyncGenerator, AsyncIterator

from a2a.types.a2a_pb2 import Artifact, Part, TaskArtifactUpdateEvent, TaskStatusUpdateEvent

from agenthost.core.api import HostApi, LiveDelta, OpenQuestion, TaskDetail
from agenthost.core.commands import Ask
from agenthost.core.events import Answered, Asked, Claimed, Finished, Recorded
from agenthost.core.lifecycle import State
from agenthost.core.parts import text_of
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.a2a import words
from agenthost.faces.http.a2a.tasks import ANSWER, artifacts_of, context_of, status_message

Update = TaskStatusUpdateEvent | TaskArtifactUpdateEvent
INTERRUPTED: tuple[State, ...] = ("input-required", "auth-required")


class Saying:
    """The answer's artifact while it is written. A piece is held back until the next comes, so that the last one can
    be marked as such."""

    def __init__(self) -> None:
        self._call = ("", 0)
        self._said = ""
        self._held: str | None = None
        self._begun = False

    def take(self, live: LiveDelta) -> tuple[str, bool] | None:
        """A piece to be sent, and whether it is added to what was sent before."""
        delta = live.delta
        if delta.reset or (live.command, live.attempt) != self._call:
            self._call, self._said, self._held, self._begun = (live.command, live.attempt), "", None, False
        if not delta.text:
            return None
        piece, self._held = self._held, delta.text
        self._said += delta.text
        return self._go(piece) if piece is not None else None

    def last(self, text: str) -> tuple[str, bool] | None:
        """The last piece, where what was said is the answer."""
        if self._held is None or self._said != text:
            return None
        return self._go(self._held)

    def _go(self, piece: str) -> tuple[str, bool]:
        added, self._begun = self._begun, True
        return piece, added


class Updates:
    """The updates of one task after what `detail` shows of it. `answered` are questions (`TASK/ID`) whose answer is on
    its way to the journal. `after`: up to where the journals of the tree were seen, where that isn't what `detail`
    shows. `words_too`: also the model's words while they come."""

    def __init__(
        self,
        api: HostApi,
        detail: TaskDetail,
        base: str,
        answered: frozenset[str] = frozenset(),
        after: dict[str, int] | None = None,
        words_too: bool = True,
    ) -> None:
        self._api = api
        self._row: TaskRow = detail.row
        self._base = base
        self._answered = answered
        self._context = context_of(detail.row)
        self._asks = {_name(asked): asked for asked in detail.questions if _name(asked) not in answered}
        self._after = dict(after) if after else {row.id: row.seq for row in (detail.row, *detail.children)}
        self._words_too = words_too
        self._saying = Saying()
        asks = [asked.ask for asked in self._asks.values()]
        self.state: State = (
            "submitted" if self._after.get(detail.row.id) == 1 else words.shown_state(detail.row.state, asks)
        )

    @property
    def places(self) -> dict[str, int]:
        """Up to where the journals of the tree were seen."""
        return dict(self._after)

    async def follow(self) -> AsyncGenerator[Update]:
        """Every update until the task has ended."""
        items = self._api.follow(self._row.id, self._after if self._after.get(self._row.id, 0) > 1 else None)
        try:
            async for item in items:
                if isinstance(item, LiveDelta):
                    if self._words_too and item.task == self._row.id and (piece := self._saying.take(item)) is not None:
                        yield self._piece(piece)
                    continue
                self._after[item.task] = item.seq
                async for update in self._recorded(item):
                    yield update
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    async def turn(self) -> AsyncGenerator[Update]:
        """Updates until it is the caller's turn again: the task has ended, or waits for input."""
        if self.state in INTERRUPTED:
            return
        updates = self.follow()
        try:
            async for update in updates:
                yield update
                if isinstance(update, TaskStatusUpdateEvent) and self.state in INTERRUPTED:
                    return
        finally:
            await updates.aclose()

    async def _recorded(self, recorded: Recorded) -> AsyncIterator[Update]:
        event, own = recorded.event, recorded.task == self._row.id
        if isinstance(event, Claimed) and own and self.state == "submitted":
            yield self._status("working", recorded.at)
        elif isinstance(event, Asked) and isinstance(event.command, Ask):
            asked = OpenQuestion(recorded.task, event.command, recorded.at)
            if _name(asked) not in self._answered:
                self._asks[_name(asked)] = asked
                yield self._waiting(recorded.at)
        elif isinstance(event, Answered) and self._asks.pop(f"{recorded.task}/{event.command}", None) is not None:
            yield self._waiting(recorded.at)
        elif isinstance(event, Finished) and own:
            async for update in self._ended(event, recorded.at):
                yield update
        elif isinstance(event, Finished):
            gone = [name for name, asked in self._asks.items() if asked.task == recorded.task]
            for name in gone:
                del self._asks[name]
            if gone:
                yield self._waiting(recorded.at)

    async def _ended(self, finished: Finished, at: float) -> AsyncIterator[Update]:
        self._row = (await self._api.task(self._row.id)).row
        self._asks.clear()
        last = self._saying.last(text_of(finished.parts)) if len(finished.parts) == 1 else None
        for artifact in await artifacts_of(self._api, self._row, finished, self._base):
            if last is not None and artifact.artifact_id == ANSWER:
                yield self._piece(last, True)
            else:
                yield self._artifact(artifact, False, True)
        yield self._status(self._row.state, at)

    def _waiting(self, at: float) -> TaskStatusUpdateEvent:
        asks = [asked.ask for asked in self._asks.values()]
        return self._status(words.shown_state("working", asks), at)

    def _status(self, state: State, at: float) -> TaskStatusUpdateEvent:
        self.state = state
        message = status_message(self._row, state, self._asks.values())
        return TaskStatusUpdateEvent(
            task_id=self._row.id, context_id=self._context, status=words.status(state, at, message)
        )

    def _piece(self, piece: tuple[str, bool], last: bool = False) -> TaskArtifactUpdateEvent:
        text, added = piece
        return self._artifact(Artifact(artifact_id=ANSWER, name=ANSWER, parts=[Part(text=text)]), added, last)

    def _artifact(self, artifact: Artifact, append: bool, last: bool) -> TaskArtifactUpdateEvent:
        return TaskArtifactUpdateEvent(
            task_id=self._row.id, context_id=self._context, artifact=artifact, append=append, last_chunk=last
        )


def _name(asked: OpenQuestion) -> str:
    return f"{asked.task}/{asked.ask.id}"
