"""Accounts of a day: brought up to the ledger where a budget begins to count in the middle of one."""

from stores.twins import InMemory, InSQLite

from agenthost.core.budgets import Limits, Spend, day_account
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


class TestMemory(InMemory, DayAccounts):
    """The twin."""


class TestSQLite(InSQLite, DayAccounts):
    """The real one."""
