"""Has what tasks say told in their conversations, whoever was there when they said it."""

import asyncio
from collections.abc import Awaitable, Callable

from agenthost.core.api import Artifact
from agenthost.core.conversations import Conversations, Line, LineFilter, Thread, Wanted
from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.events import Finished, Recorded
from agenthost.core.ids import root_id
from agenthost.core.ports import Blobs, Store
from agenthost.core.tasks import TaskRow
from agenthost.engine.parts import Log
from agenthost.host import records
from agenthost.host.conversing import telling, wording
from agenthost.host.conversing.telling import About, Said

MARKS = 200
LOOK = 30.0
"""Seconds after which marks are looked at without a call: another process may have left some."""

LAST = 50
"""Lines among which the one is looked for that a task's line answers."""


class Teller:
    """Runs as long as the host works. `journal` gives the whole journal of a task, `recover` goes on with messages that were left, `told` is called when
    something was said."""

    def __init__(
        self,
        kept: Conversations,
        store: Store,
        blobs: Blobs,
        journal: Callable[[str], Awaitable[list[Recorded]]],
        recover: Callable[[], Awaitable[None]],
        told: Callable[[], None],
        log: Log,
    ) -> None:
        self._kept = kept
        self._store = store
        self._blobs = blobs
        self._journal = journal
        self._recover = recover
        self._told = told
        self._log = log
        self._called = asyncio.Event()
        self._left = True

    def call(self) -> None:
        """Something is to be told: look now."""
        self._called.set()

    def left(self) -> None:
        """A message may wait that nobody goes on with: look now."""
        self._left = True
        self._called.set()

    async def run(self) -> None:
        """Go on until cancelled. A store that fails is asked again later."""
        while True:
            self._called.clear()
            try:
                if self._left:
                    self._left = False
                    await self._recover()
                await self.gather()
            except AgentHostError as error:
                self._left = True
                self._log.warning("conversations wait", problem=error.message)
            try:
                async with asyncio.timeout(LOOK):
                    await self._called.wait()
            except TimeoutError:
                self._left = True

    async def gather(self) -> None:
        """Tell everything that is marked."""
        while marks := await self._kept.marks(MARKS):
            for task, until, seen in marks:
                said = await self._said(task, until, seen)
                new = await self._kept.tell(task, until, said.lines, said.settled)
                if new:
                    self._told()

    async def _said(self, task: str, until: int, seen: int) -> Said:
        row, root = await self._store.task(task), await self._store.task(root_id(task))
        thread = await self._kept.topic(root_id(task))
        if row is None or root is None or thread is None:
            return Said()
        try:
            events = await self._journal(task)
        except Temporary:
            raise
        except AgentHostError as error:
            self._log.warning("nothing is told of a task that can't be read", task=task, problem=error.message)
            return Said()
        new = [recorded for recorded in events if seen < recorded.seq <= until]
        if not new:
            return Said()
        return telling.tell(await self._about(thread, root, new), row, events, new)

    async def _about(self, thread: Thread, root: TaskRow, new: list[Recorded]) -> About:
        gathered = await self._kept.gather(thread, Wanted(open=2, ended=0, found=0, lines=1, recent=1))
        wanted = LineFilter(task=root.id, person=thread.person, namespace=thread.namespace, newest=True, limit=LAST)
        lines = await self._kept.lines(wanted)
        # Who answers here needn't be told so; their message may not be filed yet.
        answering = {line.question for line in lines if line.by == "person" and line.state == "decided"}
        asked = {
            line.question: line
            for line in lines
            if line.by == "host" and line.state == "asked" and line.question not in answering
        }
        last = next((line for line in reversed(lines) if line.by == "person"), None)
        channel = last.channel if last is not None else _channel(gathered.recent)
        label = wording.title(root.title) if gathered.open > 1 else ""
        finished = any(isinstance(recorded.event, Finished) for recorded in new)
        artifacts = await self._artifacts(root) if finished else []
        return About(thread, root, channel, label, last.id if last is not None else "", asked, artifacts)

    async def _artifacts(self, root: TaskRow) -> list[Artifact]:
        created = records.spec_of([(await self._journal(root.id))[0]])
        files = await self._store.files(created.workspace)
        return [Artifact(path, named, await self._blobs.size(named)) for path, named in sorted(files.items())]


def _channel(lines: tuple[Line, ...]) -> str:
    return next((line.channel for line in reversed(lines) if line.channel), "")
