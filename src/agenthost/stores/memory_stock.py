"""Counts what the store in memory has."""

from agenthost.core.access import Accounts
from agenthost.core.importing import IMPORTED
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter, Store
from agenthost.core.stock import Census
from agenthost.stores.rules import FEW


class MemoryStock:
    """The port `core.stock.Stock`, over a store and accounts of the namespace `default`."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts

    async def census(self, now: float, quiet: float, soon: float) -> Census:
        every = await self._store.tasks(Filter(limit=1_000_000))
        rows = [row for row in every if row.state not in FINAL and row.hold != IMPORTED]
        going = [row for row in rows if not row.hold]
        states: dict[str, int] = {}
        for row in going:
            states[row.state] = states.get(row.state, 0) + 1
        held = [row for row in rows if row.hold == "dead-letter"]
        parents = {row.parent for row in rows}
        silent = [
            row for row in going if row.state == "working" and row.updated < now - quiet and row.id not in parents
        ]
        keys = [key for person in await self._accounts.people() for key in await self._accounts.keys(person.id)]
        ends = [key.expires for key in keys if key.expires and not key.session]
        return Census(
            states,
            len(held),
            {row.id: row.reason for row in held[:FEW]},
            tuple(row.id for row in sorted(silent, key=lambda row: (row.updated, row.id))[:FEW]),
            min((row.created for row in going if row.state == "submitted"), default=0.0),
            max([event.at for row in every for event in await self._store.events(row.id)], default=0.0),
            sum(end <= now for end in ends),
            sum(now < end <= now + soon for end in ends),
            sum(row.hold == "paused" for row in rows),
        )
