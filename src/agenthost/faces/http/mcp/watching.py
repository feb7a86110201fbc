"""One call watches one task: it tells what happens, asks what is asked, and says how it was left."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from agenthost.core.api import HostApi, OpenQuestion, TaskDetail
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.events import Answered, Asked, Finished, Recorded
from agenthost.core.lifecycle import FINAL
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.mcp.asking import name_of

BEHIND = 1000
"""Events that may wait to be told."""


class Ended(Struct, frozen=True):
    """The task has ended."""

    row: TaskRow
    event: Finished


class Waits(Struct, frozen=True):
    """It waits for a person, and who called can't be asked."""

    questions: tuple[OpenQuestion, ...]


class Left(Struct, frozen=True):
    """It goes on, or can't: nobody waits for it here any longer, and why. `later`: it has taken so long that
    its result is to be asked for."""

    reason: str
    later: bool = False


Outcome = Ended | Waits | Left
Tell = Callable[[Recorded], Awaitable[None]]
AskOf = Callable[[OpenQuestion], Awaitable[str | None]]
Leaving = Callable[[], Awaitable[Left]]


class _Unanswered(Struct, frozen=True):
    question: OpenQuestion


class _Over(Struct, frozen=True):
    error: AgentHostError | None = None


_Heard = Recorded | _Unanswered | _Over | Left


class Watch:
    """Watches `task`: from its beginning where it is `new`, else from now on. `ask` puts a question to the client; None
    where that can't be done. `leaving` returns when nobody is to wait any longer, and says why."""

    def __init__(
        self, api: HostApi, task: str, tell: Tell, ask: AskOf | None, by: str, leaving: Leaving, new: bool = False
    ) -> None:
        self._api = api
        self._task = task
        self._new = new
        self._tell = tell
        self._ask = ask
        self._by = by
        self._leaving = leaving
        self._queue: asyncio.Queue[_Heard] = asyncio.Queue(BEHIND)
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> Outcome:
        """Until it ends or waits. Raises what the host raises where the task can't be followed."""
        detail = await self._api.task(self._task)
        if detail.row.state in FINAL and not self._new:
            return await self._ended(detail)
        after = {} if self._new else {row.id: row.seq for row in (detail.row, *detail.children)}
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._feed(after)), group.create_task(self._watch_leaving())]
            try:
                outcome = await self._go(group, () if self._new else detail.questions)
            except AgentHostError as error:
                outcome = error
            finally:
                for task in (*beside, *self._asking.values()):
                    task.cancel()
        if isinstance(outcome, AgentHostError):
            raise outcome
        return outcome

    async def _feed(self, after: dict[str, int]) -> None:
        try:
            async for item in self._api.follow(self._task, after):
                if isinstance(item, Recorded):
                    await self._queue.put(item)
            await self._queue.put(_Over())
        except AgentHostError as error:
            await self._queue.put(_Over(error))

    async def _watch_leaving(self) -> None:
        await self._queue.put(await self._leaving())

    async def _go(self, group: asyncio.TaskGroup, questions: tuple[OpenQuestion, ...]) -> Outcome:
        waits = await self._questions(group, questions)
        while waits is None:
            heard = await self._queue.get()
            match heard:
                case Left():
                    return heard
                case _Over():
                    if heard.error is not None:
                        raise heard.error
                    return await self._over()
                case _Unanswered():
                    waits = await self._waits()
                case Recorded():
                    waits = await self._take(group, heard)
        return waits

    async def _take(self, group: asyncio.TaskGroup, recorded: Recorded) -> Outcome | None:
        await self._tell(recorded)
        event = recorded.event
        if isinstance(event, Finished) and recorded.task == self._task:
            return Ended((await self._api.task(self._task)).row, event)
        if isinstance(event, Answered):
            asking = self._asking.pop(f"{recorded.task}/{event.command}", None)
            if asking is not None:
                asking.cancel()
        if isinstance(event, Asked) and isinstance(event.command, Ask):
            return await self._questions(group, (OpenQuestion(recorded.task, event.command, recorded.at),))
        return None

    async def _questions(self, group: asyncio.TaskGroup, questions: tuple[OpenQuestion, ...]) -> Outcome | None:
        if self._ask is None:
            return await self._waits() if questions else None
        for question in questions:
            name = name_of(question)
            if name not in self._asking:
                self._asking[name] = group.create_task(self._put(self._ask, question))
        return None

    async def _put(self, ask: AskOf, question: OpenQuestion) -> None:
        name = name_of(question)
        try:
            # From the beginning, what was answered long ago is told again; it isn't asked again.
            if name not in map(name_of, (await self._api.task(self._task)).questions):
                return
            answer = await ask(question)
            if answer is None:
                await self._queue.put(_Unanswered(question))
            else:
                await self._api.reply(self._task, answer, name, self._by, "mcp")
        except BadInput:
            return  # somebody else was quicker
        except AgentHostError as error:
            await self._queue.put(_Over(error))

    async def _waits(self) -> Outcome | None:
        """None where every question was answered meanwhile."""
        open = (await self._api.task(self._task)).questions
        return Waits(open) if open else None

    async def _over(self) -> Outcome:
        detail = await self._api.task(self._task)
        if detail.row.state in FINAL:
            return await self._ended(detail)
        return Left(f"the task is held ({detail.row.hold or 'below it'}): {detail.row.reason}")

    async def _ended(self, detail: TaskDetail) -> Outcome:
        last = await self._api.events(self._task, detail.row.seq - 1)
        for recorded in last:
            if isinstance(recorded.event, Finished):
                return Ended(detail.row, recorded.event)
        return Left(f"the task is {detail.row.state}, and its journal doesn't say how it ended")
