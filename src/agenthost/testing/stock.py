"""The conformance suite of `core.stock.Stock`. Subclass `StockSuite` and give it fixtures `stock`, `store` and `accounts`
(of one and the same thing, open)."""

from agenthost.core.access import Accounts, Key, Person
from agenthost.core.ports import Store
from agenthost.core.stock import Census, Stock
from agenthost.testing.stores import new_task, step

HOUR = 3600.0


class StockSuite:
    """What everybody counts who counts a store."""

    async def test_an_empty_store_has_nothing(self, stock: Stock) -> None:
        assert await stock.census(5000.0, HOUR, HOUR) == Census()

    async def test_unfinished_tasks_are_counted_by_state_and_held_ones_with_their_reasons(
        self, stock: Stock, store: Store
    ) -> None:
        for number in range(11):
            await store.create(new_task(f"t{number}", created=1000.0 + number, updated=1000.0 + number))
        for number in range(1, 9):
            await store.claim(f"t{number}", "a", 1000.0)
        await store.append(step("t1", 2, state="input-required"))
        await store.append(step("t2", 2, state="completed"))
        for number in range(3, 9):
            await store.append(step(f"t{number}", 2))
            await store.hold(f"t{number}", "dead-letter", f"reason {number}")
        await store.hold("t3", "", "")
        for number in (9, 10):
            await store.hold(f"t{number}", "paused", "by ann")
        found = await stock.census(5000.0, HOUR, HOUR)
        assert found.states == {"submitted": 1, "input-required": 1, "working": 1}
        assert (found.held, found.paused) == (5, 2)
        assert found.reasons == {f"t{number}": f"reason {number}" for number in (8, 7, 6, 5, 4)}
        assert found.oldest == 1000.0

    async def test_tasks_at_work_of_which_nothing_is_heard_are_named_but_not_those_that_wait_for_others(
        self, stock: Stock, store: Store
    ) -> None:
        for id, parent in (("t1", ""), ("t1.a", "t1"), ("t2", ""), ("t2.a", "t2"), ("t3", ""), ("t4", "")):
            await store.create(new_task(id, parent=parent, root=id.partition(".")[0]))
            await store.claim(id, "a", 1000.0)
        for id in ("t1", "t1.a", "t2", "t4"):
            await store.append(step(id, 2, updated=2000.0))
        await store.append(step("t2.a", 2, updated=2000.0, state="completed"))
        await store.append(step("t3", 2, updated=4000.0))
        await store.hold("t4", "dead-letter", "broken")
        assert (await stock.census(2000.0 + HOUR + 1, HOUR, HOUR)).quiet == ("t1.a", "t2")
        assert (await stock.census(2000.0 + HOUR - 1, HOUR, HOUR)).quiet == ()

    async def test_the_last_event_says_how_late_it_is(self, stock: Stock, store: Store) -> None:
        await store.create(new_task("t1"))
        await store.claim("t1", "a", 1000.0)
        await store.append(step("t1", 2, events=3))
        assert (await stock.census(5000.0, HOUR, HOUR)).last == 1004.0

    async def test_keys_that_have_expired_or_will_are_counted_and_sessions_are_not(
        self, stock: Stock, accounts: Accounts
    ) -> None:
        await accounts.put_person(Person("ann", "user", 1.0))
        for id, expires in (("a", 10.0), ("b", 100.0), ("c", 150.0), ("d", 1000.0), ("e", 0.0)):
            await accounts.put_key(Key(id, "ann", f"digest of {id}", 1.0, expires=expires))
        await accounts.put_key(Key("s", "ann", "digest of s", 1.0, expires=10.0, session=True))
        found = await stock.census(100.0, HOUR, 50.0)
        assert (found.expired, found.expiring) == (2, 1)
