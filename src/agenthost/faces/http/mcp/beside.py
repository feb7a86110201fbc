"""Work beside requests, which outlives them: one piece that breaks is logged, and takes nothing else with it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from agenthost.faces.http.bodies import mistake


class Beside:
    """Begins such work in `group`, which is the face's."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    def begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Begin it; `what` names it in the log."""
        return self._group.create_task(_fenced(work, what))


async def _fenced(work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the HTTP edge
        mistake(error, what)
