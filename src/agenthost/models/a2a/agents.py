"""Finds remote agents by their name as models, and lets every other name through."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.ports import Abilities, Blobs, Model, Models
from agenthost.models.a2a.names import INSTALL, is_remote, read_name
from agenthost.models.a2a.plan import mark_of
from agenthost.models.abilities import NoAbilities

if TYPE_CHECKING:
    from agenthost.models.a2a.model import RemoteAgent
    from agenthost.models.a2a.transport import Addresses

Secret = Callable[[str], Awaitable[str | None]]


class RemoteAgents:
    """The port `core.ports.Models` over another, `models`, for all that isn't remote."""

    def __init__(self, models: Models, secret: Secret, blobs: Blobs, addresses: "Addresses") -> None:
        self._models = models
        self._secret = secret
        self._blobs = blobs
        self._addresses = addresses
        self._known: dict[str, tuple[str, RemoteAgent]] = {}
        self._making = asyncio.Lock()

    async def model(self, name: str) -> Model:
        """A model, or a remote agent. Raises as the port says."""
        return await self.remote(name) if is_remote(name) else await self._models.model(name)

    async def remote(self, name: str) -> "RemoteAgent":
        """The remote agent of a name. Raises Unavailable where its token's secret, or the library, is missing."""
        secret, url = read_name(name)
        token = await self._secret(secret) if secret else ""
        if token is None:
            raise Unavailable(
                f"the agent at {url} is shown the secret '{secret}', and there is none; keep it: agenthost secrets set {secret}"
            )
        async with self._making:
            known = self._known.get(name)
            if known is None or known[0] != token:
                made = await asyncio.to_thread(_make, name, url, token, self._blobs, self._addresses)
                if known is not None:
                    await known[1].wire.close()
                known = self._known[name] = token, made
        return known[1]

    async def let_go(self, name: str, state: str) -> None:
        """A task of ours has ended whose last answer of the remote agent `name` had this state: where that one waits
        for an answer, nobody will give it one."""
        mark = mark_of(state) if is_remote(name) else None
        if mark is None or mark.phase != "waiting":
            return
        try:
            await (await self.remote(name)).wire.cancel(mark.task)
        except AgentHostError as error:
            structlog.get_logger(__name__).warning(
                "a remote task waits on", agent=name, task=mark.task, error=error.message
            )

    async def abilities(self, name: str) -> Abilities:
        """What else a model's provider does; a remote agent does nothing else."""
        return NoAbilities(name) if is_remote(name) else await self._models.abilities(name)

    async def close(self) -> None:
        """Let go of the connections. The other models are closed by who made them."""
        for _, agent in self._known.values():
            await agent.wire.close()
        self._known.clear()


def _make(name: str, url: str, token: str, blobs: Blobs, addresses: "Addresses") -> "RemoteAgent":
    """In a thread: the library takes about a second to load."""
    try:
        from agenthost.models.a2a.model import RemoteAgent
        from agenthost.models.a2a.wire import Wire
    except ImportError as error:
        raise Unavailable(INSTALL) from error
    return RemoteAgent(name, Wire(url, token, addresses), blobs.get, blobs.put)
