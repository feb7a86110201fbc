"""Everything concurrent of a host runs here: named, kept, and one's failure kept from the others."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Report = Callable[[str, BaseException], None]


class Supervisor:
    """Starts asyncio tasks, keeps them until they end, and reports what fails without passing it on."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` under `name`. Its failure is reported, once, and ends nothing else."""
        if self._closing:
            work.close()
            raise RuntimeError("the supervisor is closing; nothing new is started")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(task.get_name(), error)

    @property
    def names(self) -> list[str]:
        """What is running."""
        return sorted(task.get_name() for task in self._tasks)

    async def close(self) -> None:
        """End everything that runs and wait for it."""
        self._closing = True
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
