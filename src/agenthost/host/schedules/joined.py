"""Joins what runs things when they are due."""

from typing import Protocol

from agenthost.core.access import Caller
from agenthost.core.api import HostApi, Order
from agenthost.core.events import Recorded
from agenthost.core.tasks import TaskRow
from agenthost.engine.parts import Log
from agenthost.host.adapters import Adapters
from agenthost.host.guarded import GuardedHost, Owners
from agenthost.host.library import Library
from agenthost.host.schedules.desk import Desk
from agenthost.host.schedules.manifested import Manifested
from agenthost.host.schedules.runner import Runner


class _Hands:
    """What a schedule does, its person may do: it goes through the same guard as their requests."""

    def __init__(self, host: HostApi, adapters: Adapters) -> None:
        self._host = host
        self._accounts = adapters.accounts
        self._owners = Owners(adapters.store)

    async def start(self, caller: Caller, order: Order) -> TaskRow:
        return await self._as(caller).start(order)

    async def cancel(self, caller: Caller, task: str, reason: str) -> None:
        await self._as(caller).cancel(task, reason=reason)

    def _as(self, caller: Caller) -> GuardedHost:
        return GuardedHost(self._host, caller, self._accounts, self._owners)


class _Host(HostApi, Protocol):
    """What a host is here, its journals among it."""

    async def events_of(self, task: str) -> list[Recorded]: ...


def joined(host: _Host, library: Library, adapters: Adapters, log: Log) -> tuple[Runner, Desk, Manifested]:
    """Who runs them, where people make them, and what takes them from manifests."""
    schedules, store, accounts = adapters.schedules, adapters.store, adapters.accounts
    runner = Runner(schedules, store, accounts, _Hands(host, adapters), log)
    desk = Desk(schedules, store, accounts, library, runner.call, host.events_of)
    manifested = Manifested(schedules, adapters.keeping, library, runner.call)
    library.heard = manifested.take
    adapters.remind.serve(desk.remind)
    return runner, desk, manifested
