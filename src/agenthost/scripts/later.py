"""The scripts port without Monty until the first script runs: many hosts never run one, and it takes memory."""

import asyncio
import importlib

from agenthost.core import expressions
from agenthost.core.errors import Temporary
from agenthost.core.events import ScriptRequest, Value
from agenthost.core.ports import Evaluation, Scripts


class LaterScripts:
    """The port `core.ports.Scripts`: `scripts.monty.MontyScripts`, made when it is needed."""

    def __init__(self) -> None:
        self._made: Scripts | None = None
        self._making = asyncio.Lock()
        self._closed = False

    async def evaluate(self, evaluation: Evaluation) -> Value | ScriptRequest:
        """As MontyScripts does."""
        if self._closed:
            raise Temporary("the host is stopping; the script runs when it is back", code="closed")
        return await (self._made or await self._make()).evaluate(evaluation)

    async def _make(self) -> Scripts:
        async with self._making:
            if self._made is not None:
                return self._made
            module = await asyncio.to_thread(importlib.import_module, "agenthost.scripts.monty")
            made: Scripts = module.MontyScripts()
            self._made = made
            return made

    def mistakes(self, source: str, expression: bool) -> str | None:
        """Why `source` can't be read, with line and column; None where it can."""
        found = expressions.mistake(source) if expression else expressions.script_mistake(source)
        return None if found is None else str(found)

    async def close(self) -> None:
        """End the workers, where there are any."""
        self._closed = True
        if self._made is not None:
            await self._made.close()
