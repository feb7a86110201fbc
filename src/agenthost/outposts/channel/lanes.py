"""Work by conversation: each in its own order, one thing at a time, and none in the way of another."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agenthost.core.errors import AgentHostError

FIRST, LONGEST = 0.5, 10.0
"""Seconds after which work that failed is tried again: longer each time, up to the second."""


class Lanes:
    """Calls `work` for a key until it says that nothing is left. `broken` is told of a failure that has no name, and how
    often in a row; it may put what caused it aside."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        work: Callable[[str], Awaitable[bool]],
        broken: Callable[[str, str, int], Awaitable[None]],
    ) -> None:
        self._group = group
        self._work = work
        self._broken = broken
        self._going: dict[str, bool] = {}

    def wake(self, key: str) -> None:
        """There is something to do for a key."""
        known = key in self._going
        self._going[key] = True
        if not known:
            self._group.create_task(self._lane(key), name=f"lane {key}")

    async def _lane(self, key: str) -> None:
        wait, times = FIRST, 0
        while self._going.get(key):
            self._going[key] = False
            try:
                while await self._work(key):
                    wait, times = FIRST, 0
                continue
            except AgentHostError as error:
                structlog.get_logger(__name__).warning("messages wait", conversation=key, problem=error.message)
                wait_now = getattr(error, "delay", None)
            except Exception as error:  # noqa: BLE001 - one conversation's worker
                times += 1
                structlog.get_logger(__name__).exception("messages wait", conversation=key)
                wait_now = None
                await self._broken(key, f"{type(error).__name__}: {error}", times)
            self._going[key] = True
            await asyncio.sleep(wait if wait_now is None else wait_now)
            wait = min(LONGEST, wait * 2)
        del self._going[key]
