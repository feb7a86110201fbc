"""Work beside requests, which outlives them: one piece that breaks is logged, and takes nothing else with it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Scope

from agenthost.faces.http.bodies import mistake
from agenthost.faces.http.presence import staying


class Beside:
    """Begins such work in `group`, which is the face's."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    def begin(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Begin it; `what` names it in the log."""
        return self._group.create_task(_fenced(work, what))

    def begin_for(self, scope: Scope, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Begin what ends, too, once whoever made the request of that scope may make it no more."""
        return self.begin(_while_let_in(scope, work), what)


async def _fenced(work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the HTTP edge
        mistake(error, what)


async def _while_let_in(scope: Scope, work: Coroutine[Any, Any, None]) -> None:
    here = asyncio.current_task()
    assert here is not None
    with staying(scope, here.cancel):
        await work
