"""A flag that can be waited for."""

import asyncio


class Signal:
    """As `asyncio.Event`, and next to nothing until somebody waits: every task that goes on has several."""

    __slots__ = ("_set", "_waiting")

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """Whoever waits goes on."""
        self._set = True
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    def clear(self) -> None:
        self._set = False

    async def wait(self) -> None:
        """Until it is set."""
        if self._set:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting = [*(self._waiting or ()), waiter]
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiting = [other for other in self._waiting or () if other is not waiter]
            raise
