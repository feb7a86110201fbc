"""Calls that no task makes: reserved at their worst before they are made, settled by what came of them.

Each is a line of the ledger without a task and without an agent, of the person whose request it is. What is cut, or crashed between
the call and its settlement, stands at its worst.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from msgspec.structs import replace

from agenthost.core.budgets import Limits, Spend
from agenthost.core.errors import AgentHostError, Temporary, Unusable
from agenthost.core.ids import task_id
from agenthost.core.paying import Most, unpriced
from agenthost.core.ports import LedgerEntry, Settlement, Store
from agenthost.engine.retry import is_free
from agenthost.host.budgets.allowances import Allowances

T = TypeVar("T")

MOST_TOKENS = 10**12
"""Of one call: far more than anybody's window and batch, and few enough that a day of them is counted exactly."""


class Meter:
    """Books the calls of one person. Their budgets of the day, their namespace's and the host's count; none asks, as nobody
    waits who could be asked."""

    def __init__(self, store: Store, allowances: Allowances, person: str, namespace: str) -> None:
        self._store = store
        self._allowances = allowances
        self._person = person
        self._namespace = namespace

    async def reserve(self, model: str, most: Most) -> str:
        """Reserve a call; its name in the ledger. Raises BudgetRefused, and Unusable for what no ledger has room for."""
        if most.tokens > MOST_TOKENS:
            raise Unusable(
                f"such a call may take {most.tokens:,} tokens, and no more than {MOST_TOKENS:,} are counted; lower its max_output, "
                "or ask for less at once"
            )
        now = time.time()
        days = self._allowances.on(self._namespace, self._person, "", Limits(), now)
        scopes = tuple(replace(scope, reached="end") for scope in days)
        if most.cost is None and any(scope.limits.cost is not None for scope in scopes):
            raise unpriced(model)
        call = task_id(int(now * 1000), secrets.randbits(35))
        entry = LedgerEntry(
            task="",
            command=call,
            attempt=1,
            agent="",
            model=model,
            at=now,
            worst=most.spend,
            scopes=scopes,
            person=self._person,
            namespace=self._namespace,
            priced=most.cost is not None,
        )
        await self._store.book(reserve=(entry,))
        return call

    async def settle(self, call: str, model: str, spent: Spend) -> None:
        """What a call really took. One that was settled is left alone, and a full disk leaves it at its worst: what was made
        is not lost for that."""
        with suppress(ValueError, Temporary):
            await self._store.book(settle=(Settlement(call, 1, spent, model),))

    async def make(self, call: str, model: str, making: Awaitable[T], whole: bool = True) -> T:
        """What comes of a reserved call. `whole`: it is one request, so that a failure without work means that nothing was done
        at all, and nothing is charged for."""
        try:
            return await making
        except AgentHostError as error:
            if whole and is_free(error):
                await self.settle(call, model, Spend())
            raise

    async def call(
        self, model: str, most: Most, making: Callable[[], Awaitable[T]], took: Callable[[T], Spend], whole: bool = True
    ) -> T:
        """Reserve a call, make it, and settle what came of it has taken."""
        call = await self.reserve(model, most)
        made = await self.make(call, model, making(), whole)
        await self.settle(call, getattr(made, "model", "") or model, took(made))
        return made
