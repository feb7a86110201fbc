"""One thread that does jobs in groups: whatever was asked for while it was busy is its next group."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

from agenthost.core.errors import Unavailable

J = TypeVar("J")
Asked = tuple[J, "asyncio.Future[Any]"]


class Lane(Generic[J]):
    """Hands jobs from one event loop to one thread, and their outcomes back.

    `work` is called in the thread with a group of jobs and gives an outcome for each, in order:
    its result, or the exception it failed with. Jobs asked for within one turn of the loop come
    into one group, so that a group costs one waking of the thread and one of the loop. A job
    whose caller is cancelled meanwhile is done all the same.
    """

    def __init__(self, name: str, work: Callable[[list[J]], list[Any]]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: deque[Asked[J]] = deque()
        self._waking = False
        self._closed = False

    def ask(self, job: J) -> "asyncio.Future[Any]":
        """Queue a job; its outcome comes with the future. Raises Unavailable once closed."""
        if self._closed:
            raise Unavailable("the store is closed; open it before it is used")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((job, future))
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._wake)
        return future

    async def call(self, function: Callable[[], None]) -> None:
        """Run something in the thread, on its own."""
        await self._loop.run_in_executor(self._thread, function)

    async def close(self, last: Callable[[], None]) -> None:
        """Do what is queued, then `last`, then end the thread."""
        if self._closed:
            return
        self._closed = True
        if self._waking:
            self._wake()
        try:
            await self.call(last)
        finally:
            # Joining a thread blocks, if only for a moment, and so isn't for the loop.
            await asyncio.to_thread(self._thread.shutdown)

    def _wake(self) -> None:
        if not self._waking:
            return
        group: list[Asked[J]] = []
        running = self._loop.run_in_executor(self._thread, self._do, group)
        running.add_done_callback(partial(self._tell, group))

    def _do(self, group: list[Asked[J]]) -> list[Any]:
        # First the flag: a job that comes between the two is taken here, and its waking finds nothing.
        self._waking = False
        waiting = self._waiting
        while waiting:
            group.append(waiting.popleft())
        return self._work([job for job, _ in group]) if group else []

    @staticmethod
    def _tell(group: list[Asked[J]], done: "asyncio.Future[list[Any]]") -> None:
        failure = done.exception()
        outcomes: list[Any] = [failure] * len(group) if failure else done.result()
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
