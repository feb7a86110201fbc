"""What one task has going on: performances under the supervisor, and timers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from agenthost.core.commands import Ask, CallModel, Command, StartChild, Stop, Wait
from agenthost.core.errors import AgentHostError, Failure
from agenthost.core.events import Answered, Nothing
from agenthost.engine.outcome import Outcome
from agenthost.engine.performer import Task
from agenthost.engine.services import Services
from agenthost.programs.base import Open

T = TypeVar("T")


class Hands:
    """Performs the commands of one task. What comes of them goes to `tell`; `idle` is called, while they are told to leave,
    once nothing goes on."""

    def __init__(
        self, services: Services, task: Task, tell: Callable[[Outcome], None], idle: Callable[[], None]
    ) -> None:
        self._services = services
        self._task = task
        self._tell = tell
        self._going: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._idle = idle
        self._waiting: set[asyncio.Task[Any]] = set()
        self._leaving = False

    def begin(self, command: Command, opened: Mapping[str, Open]) -> None:
        """Begin to perform an open command. Times count from when it was asked for."""
        if isinstance(command, Wait):
            until = command.until + opened[command.id].rested
            self._later(command.id, until, lambda: self._tell(Outcome(command.id, (Answered(command.id, Nothing()),))))
        elif isinstance(command, Ask) and self._task.spec.trial is not None:
            self._start(command.id, self._services.performer.perform(self._task, command))
        elif isinstance(command, Ask):
            if command.expires is not None:
                # Through the inbox, as everybody's answer: the first that is there counts.
                expire = partial(self._services.expire, self._task.spec.id, command)
                until = opened[command.id].at + opened[command.id].rested + command.expires
                self._later(command.id, until, lambda: self._start(command.id, expire()))
        elif isinstance(command, Stop):
            entry = opened.get(command.target)
            self._start(command.id, self._stop(command, entry))
        elif isinstance(command, StartChild):
            self._start(command.id, self._services.start_child(self._task.spec, command))
        else:
            self._start(command.id, self._services.performer.perform(self._task, command))

    def settle(self, opened: Mapping[str, Open]) -> None:
        """Let go of the timers of what is no longer open."""
        if self._timers:
            for id in [id for id in self._timers if id not in opened]:
                self._timers.pop(id).cancel()

    def leave(self, leaving: bool = True) -> None:
        """Have what only waits (until a model is called again, for an answer that is made elsewhere) stop waiting."""
        self._leaving = leaving
        for waiting in list(self._waiting) if leaving else ():
            waiting.cancel()

    async def idly(self, wait: Awaitable[T]) -> T:
        """A performance's wait that it may be called away from, with nothing lost."""
        me = asyncio.current_task()
        assert me is not None
        self._waiting.add(me)
        try:
            if self._leaving:
                me.cancel()
            return await wait
        finally:
            self._waiting.discard(me)

    def left(self, opened: Mapping[str, Open]) -> list[Command]:
        """The calls of models that were left, and that nobody makes."""
        calls = [entry.command for entry in opened.values() if isinstance(entry.command, CallModel)]
        return [command for command in calls if command.id not in self._going]

    @property
    def busy(self) -> bool:
        """Whether something goes on that isn't only waiting for its time."""
        return bool(self._going)

    async def done(self) -> None:
        """Until nothing goes on that isn't only waiting for its time."""
        while self._going:
            await asyncio.wait(list(self._going.values()))

    async def stopped(self, ids: list[str]) -> None:
        """Stop some of what goes on, and wait until it has stopped."""
        await self._ended(ids)

    async def rest(self, spare: Collection[str] = ()) -> None:
        """Stop everything and wait until it has stopped, but for what only waits for its answer's commit (`spare`)."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        going = [id for id in self._going if id not in spare]
        if going:
            await self._ended(going)

    async def _ended(self, ids: list[str]) -> None:
        going = [self._going[id] for id in ids if id in self._going]
        for performance in going:
            performance.cancel()
        if going:
            _, left = await asyncio.wait(going, timeout=self._services.settings.grace)
            for performance in left:
                self._services.parts.log.warning("doesn't stop", what=performance.get_name())

    def _start(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        name = f"{self._task.spec.id}/{id}"
        performance = self._services.supervisor.start(name, self._fenced(id, name, work))
        self._going[id] = performance
        performance.add_done_callback(lambda _: self._over(id, work))

    def _over(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        self._going.pop(id, None)
        # Work that was stopped before it began.
        work.close()
        if self._leaving and not self._going:
            self._idle()

    async def _fenced(self, id: str, name: str, work: Coroutine[Any, Any, None]) -> None:
        """The fence around performing: a fault in a tool or an adapter is that command's failure, not the task's."""
        try:
            await work
        except AgentHostError as error:
            self._tell(Outcome(id, (Answered(id, failure=error.failure()),)))
        except Exception as error:  # noqa: BLE001 - a plugin call's fence
            self._services.fault(name, error)
            told = f"{type(error).__name__}: {error} (a fault of the host or a plugin, see its log)"
            self._tell(Outcome(id, (Answered(id, failure=Failure("fault", told)),)))
        finally:
            self._going.pop(id, None)

    def _later(self, id: str, until: float, then: Callable[[], None]) -> None:
        def fire() -> None:
            self._timers.pop(id, None)
            then()

        seconds = max(0.0, until - self._services.parts.clock())
        self._timers[id] = asyncio.get_running_loop().call_later(seconds, fire)

    async def _stop(self, command: Stop, entry: Open | None) -> None:
        """Stop a command; the answer `stopped` comes once it has stopped. A child is asked to end and reports itself."""
        target = entry.command if entry is not None else None
        if isinstance(target, StartChild):
            starting = self._going.get(target.id)
            if starting is not None:
                await asyncio.wait([starting])
            await self._services.cancel_child(self._task.spec, target, "stopped by its parent")
        elif target is not None:
            if (timer := self._timers.pop(target.id, None)) is not None:
                timer.cancel()
            await self._ended([target.id])
            await self._services.performer.withdraw(self._task.begun(target.id))
            told = "it was stopped" if target.repeatable else "it was stopped; it may have happened all the same"
            self._tell(Outcome(target.id, (Answered(target.id, failure=Failure("stopped", told)),)))
        self._tell(Outcome(command.id, (Answered(command.id, Nothing()),)))
