"""Which agent or workflow a request is for, and what its order takes."""

from typing import Any

import msgspec

from agenthost.core.api import HostApi, Order
from agenthost.core.errors import NotFound, nearest
from agenthost.faces.http.a2a.seats import Seat

Manifests = dict[str, dict[str, Any]]
PREFERRED = ("default", "assistant")


async def everything(api: HostApi) -> Manifests:
    """Every agent and workflow by name; a workflow goes before an agent of the same name, as when work is started."""
    return await api.manifests("agent") | await api.manifests("workflow")


def default_of(named: str, known: Manifests) -> str:
    """The agent that is served where none is named. Raises NotFound where there is none."""
    if named:
        if named not in known:
            raise NotFound(f"[a2a] agent names '{named}', and there is no such agent. {nearest(named, list(known))}")
        return named
    for name in PREFERRED:
        if name in known:
            return name
    if known:
        return min(known)
    raise NotFound("this host has no agent yet; apply one: agenthost apply -f FILE")


class Agents:
    """Finds agents. `default`: the one that is served where none is named, empty for a choice by name."""

    def __init__(self, default: str) -> None:
        self._default = default

    async def resolve(self, seat: Seat, tenant: str = "") -> str:
        """The agent that a request is for: that of its path, else its tenant, else the default one. Raises NotFound."""
        known = await everything(seat.api)
        named = seat.agent or tenant
        if not named:
            return default_of(self._default, known)
        if named not in known:
            raise NotFound(f"there is no agent or workflow '{named}'. {nearest(named, list(known))}")
        return named

    async def is_agent(self, seat: Seat, name: str) -> bool:
        """Whether it is an agent and no workflow."""
        return name not in await seat.api.manifests("workflow")

    async def fill(self, seat: Seat, order: Order, data: tuple[Any, ...]) -> Order:
        """The order with what was said as data: an agent is told it, a workflow's inputs are filled by name."""
        if await self.is_agent(seat, order.name):
            return msgspec.structs.replace(order, data=data)
        inputs: dict[str, Any] = {}
        rest: list[Any] = []
        for value in data:
            if isinstance(value, dict):
                inputs |= value
            else:
                rest.append(value)
        text = "\n".join((order.text, *(msgspec.json.encode(value).decode() for value in rest))).strip()
        return msgspec.structs.replace(order, inputs=inputs, text=text)
