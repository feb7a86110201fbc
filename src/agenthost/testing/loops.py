"""A loop whose time is a fixture: where nothing is left to do now, the clock jumps to what comes next."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing that the clock can bring: it moves the clock on instead. Threads get `patience`
    seconds of real time for each second to finish first (2 at most)."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.now = 0.0
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(2.0, self._patience * timeout))
        if not ready:
            self.now += timeout
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on which an hour of waiting takes no time. It is at 0 seconds when it is made."""

    def __init__(self, patience: float = 0.0) -> None:
        self._jumping = _Jumping(patience)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def fast(work: Coroutine[Any, Any, T], limit: float = 100_000.0, patience: float = 0.0) -> T:
    """Run `work` on a FastLoop of its own. Raises TimeoutError where it isn't done after `limit` seconds of that loop.

    `patience`: seconds of real time that threads get for each second that the clock jumps.
    """

    async def bounded() -> T:
        async with asyncio.timeout(limit):
            return await work

    with asyncio.Runner(loop_factory=lambda: FastLoop(patience)) as runner:
        return runner.run(bounded())
