"""Makes spans of what the engine tells, beside the engine: it hears at once, and works when there is time."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from agenthost.core.commands import CallModel
from agenthost.core.errors import AgentHostError
from agenthost.core.events import Asked, Finished, Recorded
from agenthost.core.telling import Committed
from agenthost.telemetry.spans import SpanData, Story
from agenthost.telemetry.tally import Count

WAITING = 50_000
"""Steps that wait for their spans at most; the oldest give way."""
STORIES = 2_000
"""Tasks whose open commands are remembered; of others the journal is read again."""
_TURN = 64
"""Steps that are worked on before others have their turn in the loop."""


class Exporter(Protocol):
    """Where spans go."""

    def span(self, span: SpanData) -> None: ...

    def close(self) -> None:
        """Send what is left, within some seconds. Blocks."""
        ...


Load = Callable[[str, int], Awaitable[list[Recorded]]]
"""The events of a task up to a sequence number."""

StandsFor = Callable[[str], Awaitable[str]]
"""The `provider:model` that a model's name stands for."""


class Tracer:
    """`dropped` counts the steps that had to give way."""

    def __init__(self, exporter: Exporter, load: Load, stands_for: StandsFor, content: bool, dropped: Count) -> None:
        self._exporter = exporter
        self._load = load
        self._look_up = stands_for
        self._names: dict[str, str] = {}
        self._content = content
        self._dropped = dropped
        self._waiting: deque[Committed] = deque()
        self._stories: OrderedDict[str, Story] = OrderedDict()
        self._wake = asyncio.Event()

    def hear(self, done: Committed) -> None:
        """A step is in the journal."""
        if not done.events:
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self._dropped.add()
        self._waiting.append(done)
        self._wake.set()

    async def run(self) -> None:
        """Make spans until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            worked = 0
            while self._waiting:
                await self._next()
                worked += 1
                if worked % _TURN == 0:
                    await asyncio.sleep(0)

    async def close(self) -> None:
        """Make spans of what waits, and send them."""
        while self._waiting:
            await self._next()
        await asyncio.to_thread(self._exporter.close)

    async def _next(self) -> None:
        # It waits until its spans are out: who is cancelled before that leaves it to `close`.
        done = self._waiting[0]
        story = await self._story(done)
        if story is not None:
            self._tell(story, done)
        if self._waiting and self._waiting[0] is done:
            self._waiting.popleft()

    async def _story(self, done: Committed) -> Story | None:
        """The story of a step's task up to that step, with all that its spans will need."""
        task, first = done.events[0].task, done.events[0].seq
        story = self._stories.get(task)
        try:
            if story is None or story.seq + 1 != first:
                story = Story(self._names, self._content)
                if first > 1:
                    await self._restore(story, task, first - 1)
        except AgentHostError:
            return None  # a journal that can't be read stops its own task, and the owner says why
        for recorded in done.events:
            await self._learn(recorded)
        return story

    def _tell(self, story: Story, done: Committed) -> None:
        task = done.events[0].task
        for recorded in done.events:
            for span in story.take(recorded):
                self._exporter.span(span)
        if isinstance(done.events[-1].event, Finished):
            self._stories.pop(task, None)
            return
        self._stories[task] = story
        self._stories.move_to_end(task)
        if len(self._stories) > STORIES:
            self._stories.popitem(last=False)

    async def _restore(self, story: Story, task: str, until: int) -> None:
        """Go over what was told before, perhaps by another process: those spans are out."""
        for recorded in await self._load(task, until):
            await self._learn(recorded)
            story.take(recorded)

    async def _learn(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, Asked) and isinstance(event.command, CallModel):
            name = event.command.model
            if name not in self._names:
                try:
                    self._names[name] = await self._look_up(name)
                except AgentHostError:
                    self._names[name] = name
