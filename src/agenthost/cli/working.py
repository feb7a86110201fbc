"""Long work of a verb on this machine's disk: in a thread, told now and then, and ended by Ctrl-C."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from agenthost.cli.screen import Screen

T = TypeVar("T")
Say = Callable[[str, int, int], None]
"""What is done, how much of it, and of how much."""

_SILENT = 2.0
"""Seconds of work about which nothing is said, and between two lines about it."""


class Stopped(Exception):
    """Somebody doesn't want it any more: raised in the thread, so that it cleans up behind itself."""


def telling(screen: Screen) -> Say:
    """Tells how far work has come, where it takes long."""
    told = time.monotonic()

    def say(doing: str, done: int, total: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= _SILENT:
            told = now
            if screen.json:
                screen.object({"doing": doing, "done": done, "total": total})
            screen.hint(f"{doing}: {100 * done // total if total else 0} %")

    return say


async def work(screen: Screen, job: Callable[[Say], T]) -> T:
    """Do a job in a thread. Cancelled, this waits until the job has cleaned up."""
    stopped = False
    tell = telling(screen)

    def say(doing: str, done: int, total: int) -> None:
        if stopped:
            raise Stopped
        tell(doing, done, total)

    running = asyncio.get_running_loop().run_in_executor(None, job, say)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stopped = True
        await asyncio.wait([running])
        running.exception()
        raise
