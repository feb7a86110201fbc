"""Accounts of a day: brought up to the ledger where a budget begins to count in the middle of one."""

import asyncio

import pytest
from msgspec.structs import replace
from stores.twins import InMemory, InSQLite

from agenthost.core.budgets import Limits, Spend, day_account
from agenthost.core.errors import BudgetRefused
from agenthost.core.ports import Settlement, Store
from agenthost.core.tasks import Scope
from agenthost.testing.stores import entry, owned, step


class DayAccounts:
    async def test_the_accounts_of_a_day_hold_what_the_ledger_says_and_never_less_than_before(
        self, store: Store
    ) -> None:
        await owned(store, "t1")
        today = Scope(day_account("2026-03-01", "person/default/ann"), Limits(turns=100))
        late = entry("t1", "b", at=2000.0, person="ann", scopes=(today,))
        reserve = (entry("t1", "a", at=1500.0, person="ann"), late, entry("t1", "c", at=2500.0, person="bob"))
        await store.append(step("t1", 2, reserve=reserve, settle=(Settlement("c", 1, Spend(1, 7, 0.5), "m"),)))
        assert await store.accounts("day/2026-03-01/") == {today.task: Spend(1, 100, 0.25)}
        await store.reckon("2026-03-01", 2000.0)
        names = ("host", "namespace/default", "person/default/ann", "person/default/bob", "agent/default/coder")
        both = Spend(2, 107, 0.75)
        sums = (both, both, Spend(1, 100, 0.25), Spend(1, 7, 0.5), both)
        wanted = {day_account("2026-03-01", name): held for name, held in zip(names, sums, strict=True)}
        assert await store.accounts("day/2026-03-01/") == wanted
        await store.append(step("t1", 3, settle=(Settlement("b", 1, Spend(1, 1, 0.0), "m"),)))
        assert await store.spent(today.task) == Spend(1, 1, 0.0)
        await store.reckon("2026-03-01", 2200.0)
        assert (await store.accounts("day/2026-03-01/host"))[day_account("2026-03-01", "host")] == both
        assert await store.accounts("day/2026-03-02/") == {}

    async def test_a_call_of_no_task_is_booked_within_its_budgets_and_settled_once(self, store: Store) -> None:
        today = Scope(day_account("2026-03-01", "person/default/ann"), Limits(tokens=150))
        call = entry("", "c1", agent="", person="ann", worst=Spend(0, 100, 0.25), scopes=(today,))
        await store.book(reserve=(call,))
        for refused in (replace(call, command="c2"), replace(call, command="c3", worst=Spend(0, 51))):
            with pytest.raises(BudgetRefused, match="no room for this call"):
                await store.book(reserve=(refused,))
        with pytest.raises(ValueError):
            await store.book(reserve=(replace(call, scopes=()),))
        assert await store.spent(today.task) == Spend(0, 100, 0.25)
        await store.book(settle=(Settlement("c1", 1, Spend(0, 20, 0.05), "m"),))
        with pytest.raises(ValueError):
            await store.book(settle=(Settlement("c1", 1, Spend(0, 1, 0.0), "m"),))
        assert await store.spent(today.task) == Spend(0, 20, 0.05)
        await store.book((replace(call, command="c4"),), (Settlement("c4", 1, Spend(0, 130), "m"),))
        found = [(each.command, each.spent, each.settled, each.model) for each in await store.ledger("")]
        assert found == [("c1", Spend(0, 20, 0.05), True, "m"), ("c4", Spend(0, 130), True, "m")]
        await store.reckon("2026-03-02", 0.0)
        assert list(await store.accounts("day/2026-03-02/")) == [
            day_account("2026-03-02", name) for name in ("host", "namespace/default", "person/default/ann")
        ]

    async def test_of_calls_at_once_no_more_than_there_is_room_for(self, store: Store) -> None:
        today = Scope(day_account("2026-03-01", "host"), Limits(tokens=350))
        calls = [entry("", f"c{n}", worst=Spend(0, 100), scopes=(today,)) for n in range(9)]
        done = await asyncio.gather(*[store.book((call,)) for call in calls], return_exceptions=True)
        assert [type(each) for each in done] == [type(None)] * 3 + [BudgetRefused] * 6
        assert await store.spent(today.task) == Spend(0, 300)


class TestMemory(InMemory, DayAccounts):
    """The twin."""


class TestSQLite(InSQLite, DayAccounts):
    """The real one."""
