"""Questions of MCP tasks that no request waits for (2025-11-25): they go to the session that began the task, or that asked
how it is, by its own stream.

The specification has clients call `tasks/result` to be asked; some look at `tasks/get` instead and expect to be asked by then.
"""

import asyncio
from collections import OrderedDict

from agenthost.core.errors import AgentHostError
from agenthost.core.events import Recorded
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.mcp.beside import Beside
from agenthost.faces.http.mcp.requests import Asker, Context, api_of, caller_of, elicits, request_of, session_of
from agenthost.faces.http.mcp.watching import Left, Watch

_MOST = 2_000


class Standing:
    """At most one watch for a session and a task, ever: who puts a question away isn't asked again. `leaving` is set
    when the host stops."""

    def __init__(self, leaving: asyncio.Event, beside: Beside) -> None:
        self._leaving = leaving
        self._beside = beside
        self._watches: OrderedDict[tuple[str, str], asyncio.Task[None] | None] = OrderedDict()

    def begin(self, ctx: Context, row: TaskRow) -> None:
        """Ask the session what the task asks, from now on."""
        key = (session_of(ctx), row.id)
        if not elicits(ctx) or key in self._watches:
            return
        self._watches[key] = self._beside.begin_for(request_of(ctx).scope, self._watch(ctx, row), "mcp: questions")
        while len(self._watches) > _MOST:
            _stop(self._watches.popitem(last=False)[1])

    def give_over(self, ctx: Context, row: TaskRow) -> None:
        """A request waits for the task's result, and is asked itself."""
        key = (session_of(ctx), row.id)
        _stop(self._watches.get(key))
        self._watches[key] = None

    def close(self) -> None:
        """The host stops."""
        for watch in self._watches.values():
            _stop(watch)

    async def _watch(self, ctx: Context, row: TaskRow) -> None:
        try:
            ask = Asker(ctx, row.id, alone=True)
            await Watch(api_of(ctx), row.id, _untold, ask, caller_of(ctx).person, self._left).run()
        except AgentHostError:
            return

    async def _left(self) -> Left:
        await self._leaving.wait()
        return Left("")


async def _untold(recorded: Recorded) -> None:
    return None


def _stop(watch: asyncio.Task[None] | None) -> None:
    if watch is not None:
        watch.cancel()
