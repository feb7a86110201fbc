"""One at a time in each conversation, and nothing kept of those where nobody is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agenthost.core.conversations import Thread


class Locks:
    """Locks by conversation. Who comes first is first."""

    def __init__(self) -> None:
        self._held: dict[Thread, tuple[asyncio.Lock, int]] = {}

    def busy(self, thread: Thread) -> bool:
        """Whether somebody is there."""
        return thread in self._held

    @asynccontextmanager
    async def of(self, thread: Thread) -> AsyncGenerator[None]:
        """Alone in a conversation."""
        lock, waiting = self._held.get(thread, (asyncio.Lock(), 0))
        self._held[thread] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._held[thread]
            if waiting == 1:
                del self._held[thread]
            else:
                self._held[thread] = (lock, waiting - 1)
