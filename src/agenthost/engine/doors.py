"""What is on its way into the inboxes of tasks, so that none ends while somebody brings it something."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agenthost.engine.signal import Signal


class Doors:
    """By task: how many are on their way in, and whether the task is about to end."""

    def __init__(self) -> None:
        self._coming: dict[str, int] = {}
        self._through: dict[str, Signal] = {}
        self._shut: dict[str, Signal] = {}

    @asynccontextmanager
    async def bring(self, task: str) -> AsyncGenerator[None]:
        """On the way in. Who comes to a task that is about to end waits until it has, or goes on after all."""
        while (shut := self._shut.get(task)) is not None:
            await shut.wait()
        self._coming[task] = self._coming.get(task, 0) + 1
        try:
            yield
        finally:
            self._coming[task] -= 1
            if not self._coming[task]:
                del self._coming[task]
                if (through := self._through.pop(task, None)) is not None:
                    through.set()

    async def shut(self, task: str) -> None:
        """Let nobody in any more, and wait for those who are on their way."""
        self._shut.setdefault(task, Signal())
        while task in self._coming:
            await self._through.setdefault(task, Signal()).wait()

    def open(self, task: str) -> None:
        """Whoever waits goes in: it has ended, or goes on."""
        if (shut := self._shut.pop(task, None)) is not None:
            shut.set()
