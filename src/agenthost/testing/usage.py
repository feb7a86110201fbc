"""The conformance suite of `core.usage.Usages`. Subclass `UsagesSuite` and give it fixtures `usages` and `store` (of one and
the same thing, open)."""

from typing import Any

import pytest

from agenthost.core.budgets import Spend
from agenthost.core.errors import BadInput
from agenthost.core.ports import Settlement, Store
from agenthost.core.usage import UsageFilter, UsageRow, Usages
from agenthost.testing.stores import entry, new_task, step

DAY = 86400.0
FIRST = 20_058 * DAY
"""2024-12-01, at midnight."""


async def _call(store: Store, id: str, at: float, spent: Spend | None, model: str = "m", **fields: Any) -> None:
    """A task with one attempt, which is settled unless `spent` is None."""
    await store.create(new_task(id, owner="w", epoch=1))
    reserved = entry(id, at=at, model="asked", **fields)
    await store.append(step(id, 2, reserve=(reserved,)))
    if spent is not None:
        await store.append(step(id, 3, settle=(Settlement("m1", 1, spent, model),)))


class UsagesSuite:
    """What every keeper of figures does."""

    async def test_there_are_no_figures_where_nothing_was_used(self, usages: Usages, store: Store) -> None:
        assert await usages.usage(UsageFilter()) == []
        assert await usages.usage(UsageFilter(by=("day", "model"))) == []

    async def test_what_is_settled_is_summed_up_by_what_is_wanted(self, usages: Usages, store: Store) -> None:
        await _call(store, "a", FIRST, Spend(1, 100, 0.1), person="ann", agent="coder")
        await _call(store, "b", FIRST + DAY - 1, Spend(1, 20, 0.2), person="ann", agent="reader")
        await _call(store, "c", FIRST + DAY, Spend(0, 3, 0.3), person="bob", agent="coder", model="n")
        await _call(store, "d", FIRST + 31 * DAY, Spend(1, 7, 0.0), person="bob", agent="coder", priced=False)
        assert await usages.usage(UsageFilter()) == [UsageRow((), 4, 3, 130, 0.6, 1)]
        assert await usages.usage(UsageFilter(by=("person",))) == [
            UsageRow(("ann",), 2, 2, 120, 0.3),
            UsageRow(("bob",), 2, 1, 10, 0.3, 1),
        ]
        by_month = await usages.usage(UsageFilter(by=("month", "agent")))
        assert [(row.key, row.tokens) for row in by_month] == [
            (("2024-12", "coder"), 103),
            (("2024-12", "reader"), 20),
            (("2025-01", "coder"), 7),
        ]
        by_day = await usages.usage(UsageFilter(by=("day", "model"), person="bob"))
        assert [(row.key, row.calls) for row in by_day] == [(("2024-12-02", "n"), 1), (("2025-01-01", "m"), 1)]

    async def test_only_the_days_names_and_namespace_that_are_wanted_count(self, usages: Usages, store: Store) -> None:
        for day in range(4):
            await _call(store, f"t{day}", FIRST + day * DAY, Spend(1, 10**day, 0.5), agent=f"a{day % 2}")
        await _call(store, "other", FIRST, Spend(1, 5000, 0.5), namespace="elsewhere")

        async def tokens(**wanted: Any) -> int:
            return sum(row.tokens for row in await usages.usage(UsageFilter(**wanted)))

        assert await tokens() == 1111
        assert await tokens(since="2024-12-02") == 1110
        assert await tokens(until="2024-12-02") == 11
        assert await tokens(since="2024-12-02", until="2024-12-03") == 110
        assert await tokens(since="2024-12", until="2024-12") == 1111
        assert await tokens(since="2025-01") == 0
        assert await tokens(agent="a1", until="2024-12-03") == 10
        assert await tokens(model="m") == 1111
        assert await tokens(model="asked") == 0
        assert await tokens(namespace="elsewhere") == 5000

    async def test_what_is_reserved_stands_apart_until_it_is_settled(self, usages: Usages, store: Store) -> None:
        await _call(store, "a", FIRST, None, worst=Spend(1, 900, 0.75))
        assert await usages.usage(UsageFilter(by=("model",))) == [
            UsageRow(("asked",), open_calls=1, open_tokens=900, open_cost=0.75)
        ]
        await store.append(step("a", 3, settle=(Settlement("m1", 1, Spend(1, 100, 0.25), "m"),)))
        assert await usages.usage(UsageFilter(by=("model",))) == [UsageRow(("m",), 1, 1, 100, 0.25)]

    async def test_a_page_goes_on_after_the_key_that_the_last_one_ended_with(
        self, usages: Usages, store: Store
    ) -> None:
        for number in range(5):
            await _call(store, f"t{number}", FIRST, Spend(1, number, 0), person=f"p{number // 2}", agent=f"a{number}")
        wanted = UsageFilter(by=("person", "agent"), limit=2)
        keys: list[tuple[str, ...]] = []
        while page := await usages.usage(wanted):
            keys += [row.key for row in page]
            wanted = UsageFilter(by=wanted.by, limit=2, after=page[-1].key)
        assert keys == [("p0", "a0"), ("p0", "a1"), ("p1", "a2"), ("p1", "a3"), ("p2", "a4")]

    @pytest.mark.parametrize("text", ["yesterday", "2024-13", "2024-02-30", "20241201x"])
    async def test_a_day_that_is_none_is_refused(self, usages: Usages, store: Store, text: str) -> None:
        with pytest.raises(BadInput, match="is no day"):
            await usages.usage(UsageFilter(since=text))
        with pytest.raises(BadInput, match="whole key"):
            await usages.usage(UsageFilter(by=("day", "agent"), after=("2024-12-01",)))

    async def test_tasks_that_go_on_are_counted_by_state_and_those_that_are_held(
        self, usages: Usages, store: Store
    ) -> None:
        assert (await usages.open_tasks(), await usages.held_tasks()) == ({}, {})
        for number in range(4):
            await store.create(new_task(f"t{number}", owner="w", epoch=1))
        await store.append(step("t0", 2))
        await store.append(step("t1", 2, state="completed"))
        await store.hold("t2", "dead-letter", "because")
        assert await usages.open_tasks() == {"working": 1, "submitted": 2}
        assert await usages.held_tasks() == {"dead-letter": 1}
        await store.hold("t2", "", "")
        assert await usages.held_tasks() == {}
