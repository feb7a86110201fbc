"""How late the event loop is: a timer that looks at the clock when it fires."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from agenthost.telemetry.tally import Spread

EVERY = 1.0
"""Seconds between two looks."""


@contextmanager
def watched(lag: Spread, every: float = EVERY) -> Generator[None]:
    """Count the loop's lag while the context is open."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look(due: float) -> None:
        nonlocal timer
        now = loop.time()
        lag.add(max(0.0, now - due))
        timer = loop.call_at(now + every, look, now + every)

    begin = loop.time() + every
    timer = loop.call_at(begin, look, begin)
    try:
        yield
    finally:
        timer.cancel()
