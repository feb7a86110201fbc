"""One at a time in each conversation, in the order in which they came, and nothing kept of those where nobody is."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from agenthost.core.conversations import Thread


class Locks:
    """Locks by conversation. Who comes first is first."""

    def __init__(self) -> None:
        self._held: dict[Thread, tuple[asyncio.Lock, int]] = {}
        self._first: dict[Thread, asyncio.Event] = {}

    @contextmanager
    def come(self, thread: Thread) -> Generator[bool]:
        """Be there from now on; whether somebody is there already. Who is the first has a message that stands nowhere yet: see `kept`."""
        busy = thread in self._held
        if not busy:
            self._first[thread] = asyncio.Event()
        with self._there(thread):
            try:
                yield busy
            finally:
                if not busy:
                    self.kept(thread)

    def kept(self, thread: Thread) -> None:
        """What the first one brought stands in its place."""
        if (first := self._first.pop(thread, None)) is not None:
            first.set()

    async def after(self, thread: Thread) -> None:
        """Until what the first one brought stands in its place: what comes later stands behind it."""
        if (first := self._first.get(thread)) is not None:
            await first.wait()

    @asynccontextmanager
    async def of(self, thread: Thread) -> AsyncGenerator[None]:
        """Alone in a conversation."""
        with self._there(thread) as lock:
            async with lock:
                yield

    @contextmanager
    def _there(self, thread: Thread) -> Generator[asyncio.Lock]:
        lock, count = self._held.get(thread, (asyncio.Lock(), 0))
        self._held[thread] = (lock, count + 1)
        try:
            yield lock
        finally:
            lock, count = self._held[thread]
            if count == 1:
                del self._held[thread]
            else:
                self._held[thread] = (lock, count - 1)
