"""The conformance suite of `core.keeping.Keeping`. Subclass `KeepingSuite` and give it fixtures `keeping` and `store`
(of one and the same thing, open)."""

import pytest
from msgspec.structs import replace

from agenthost.core.budgets import Spend
from agenthost.core.events import VERSION
from agenthost.core.keeping import Keeping, KeptAnswer, UsageFilter, UsageLine
from agenthost.core.ports import Append, LedgerEntry, NewTask, Settlement, Store, StoredEvent
from agenthost.core.tasks import TaskRow

DAY = 86_400.0


def event(seq: int) -> StoredEvent:
    """The n-th event of a journal; what is in it doesn't matter here."""
    return StoredEvent(seq, float(seq), "noted", VERSION, b'{"type":"noted","text":"x"}')


async def begun(store: Store, id: str, person: str = "ann", namespace: str = "default") -> None:
    """A task with one event."""
    row = TaskRow(id, "agent", "a", "working", 1.0, 1.0, namespace, person, root=id, seq=1)
    await store.create(NewTask(row, event(1)))


def call(task: str, command: str, at: float, cost: float, **more: object) -> LedgerEntry:
    """An attempt whose worst case is `cost`."""
    made = LedgerEntry(task, command, 1, "coder", "m1", at, Spend(1, 100, cost), person="ann")
    return replace(made, **more)


class KeepingSuite:
    """What every keeper does."""

    async def test_every_version_of_a_manifest_is_kept_and_a_deletion_is_one(
        self, keeping: Keeping, store: Store
    ) -> None:
        await store.put_manifests([("agent", "a", "default", b"1"), ("agent", "b", "default", b"x")], 1.0)
        await store.put_manifests([("agent", "a", "default", b"2")], 2.0)
        assert await store.delete_manifest("agent", "a", "default")
        assert not await store.delete_manifest("agent", "a", "default")
        await store.put_manifests([("agent", "a", "default", b"3")], 4.0)
        found = await keeping.versions("agent", "a", "default")
        assert [(version.number, version.body) for version in found] == [(4, b"3"), (3, b""), (2, b"2"), (1, b"1")]
        assert [version.at for version in found if version.body] == [4.0, 2.0, 1.0]
        assert [each.number for each in await keeping.versions("agent", "a", "default", before=3, limit=1)] == [2]
        assert await keeping.versions("agent", "a", "elsewhere") == []
        assert await keeping.versions("workflow", "a", "default") == []

    @pytest.fixture
    async def spent(self, store: Store) -> None:
        for task in ("t1", "t2"):
            await begun(store, task)
        calls = (call("t1", "c1", 1.0, 5.0), call("t1", "c2", DAY + 1, 1.0, model="m2", priced=False))
        settled = (Settlement("c1", 1, Spend(1, 40, 2.0), "m1"),)
        await store.claim("t1", "o", 1.0)
        await store.claim("t2", "o", 1.0)
        await store.append(Append("t1", 1, (event(2),), "working", 2.0, reserve=calls, settle=settled))
        other = (call("t2", "c1", DAY + 2, 0.5, person="bob", agent="tester"),)
        await store.append(Append("t2", 1, (event(2),), "working", 2.0, reserve=other))

    @pytest.mark.usefixtures("spent")
    async def test_usage_is_added_up_by_what_is_asked_for_dearest_first(self, keeping: Keeping) -> None:
        assert await keeping.usage(UsageFilter()) == [UsageLine(3, 240, 3.5, 2, 1)]
        assert await keeping.usage(UsageFilter(by=("task",))) == [
            UsageLine(2, 140, 3.0, 1, 1, task="t1"),
            UsageLine(1, 100, 0.5, 1, 0, task="t2"),
        ]
        assert await keeping.usage(UsageFilter(by=("day", "person"))) == [
            UsageLine(1, 40, 2.0, 0, 0, person="ann", day="1970-01-01"),
            UsageLine(1, 100, 1.0, 1, 1, person="ann", day="1970-01-02"),
            UsageLine(1, 100, 0.5, 1, 0, person="bob", day="1970-01-02"),
        ]
        assert [line.model for line in await keeping.usage(UsageFilter(by=("model",), limit=1))] == ["m1"]

    @pytest.mark.usefixtures("spent")
    async def test_usage_is_filtered(self, keeping: Keeping) -> None:
        async def calls(wanted: UsageFilter) -> int:
            return (await keeping.usage(wanted))[0].calls

        assert await calls(UsageFilter(person="bob")) == 1
        assert await calls(UsageFilter(task="t1")) == 2
        assert await calls(UsageFilter(agent="tester")) == 1
        assert await calls(UsageFilter(model="m2")) == 1
        assert await calls(UsageFilter(since=DAY)) == 2
        assert await calls(UsageFilter(until=DAY)) == 1
        assert await calls(UsageFilter(namespace="elsewhere")) == 0
        assert await keeping.usage(UsageFilter(by=("person",), namespace="elsewhere")) == []

    async def test_tasks_that_go_on_are_counted_by_state_and_those_that_are_held(
        self, keeping: Keeping, store: Store
    ) -> None:
        assert (await keeping.open_tasks(), await keeping.held_tasks()) == ({}, {})
        for number in range(4):
            await begun(store, f"t{number}")
            await store.claim(f"t{number}", "o", 1.0)
        await store.append(Append("t0", 1, (event(2),), "input-required", 2.0))
        await store.append(Append("t1", 1, (event(2),), "completed", 2.0))
        await store.hold("t2", "dead-letter", "because")
        assert await keeping.open_tasks() == {"working": 2, "input-required": 1}
        assert await keeping.held_tasks() == {"dead-letter": 1}
        await store.hold("t2", "", "")
        assert await keeping.held_tasks() == {}

    async def test_an_answer_is_made_once_and_given_again(self, keeping: Keeping) -> None:
        mine = KeptAnswer("f1", "me", 10.0)
        assert await keeping.begin_answer("k", mine, 0.0) is None
        assert await keeping.begin_answer("k", replace(mine, at=11.0), 0.0) == mine
        made = KeptAnswer("f1", "me", 12.0, 201, b"head", b"body")
        await keeping.end_answer("k", made)
        assert await keeping.begin_answer("k", KeptAnswer("f2", "another", 13.0), 0.0) == made
        assert await keeping.begin_answer("other", mine, 0.0) is None

    async def test_an_answer_that_is_old_forgotten_or_anothers_unfinished_is_made_anew(self, keeping: Keeping) -> None:
        await keeping.begin_answer("k", KeptAnswer("f", "dead", 10.0), 0.0)
        assert await keeping.begin_answer("k", KeptAnswer("f", "me", 11.0), 0.0) is None
        await keeping.end_answer("k", None)
        assert await keeping.begin_answer("k", KeptAnswer("f", "me", 12.0), 0.0) is None
        await keeping.end_answer("k", KeptAnswer("f", "me", 12.0, 200))
        assert await keeping.begin_answer("k", KeptAnswer("f", "me", 99.0), 50.0) is None

    async def test_settings_are_changed_and_taken_back(self, keeping: Keeping) -> None:
        await keeping.change({"http.rate": b"5", "files.size": b"9"})
        await keeping.change({"http.rate": b"6", "files.size": None, "unknown": None})
        assert await keeping.changed() == {"http.rate": b"6"}

    async def test_everybodys_events_come_in_pages_in_the_order_they_happened(
        self, keeping: Keeping, store: Store
    ) -> None:
        assert await keeping.placed(0, "default") == ([], 0)
        await begun(store, "t1")
        await begun(store, "t2", "bob")
        await begun(store, "t3", "ann", "elsewhere")
        await store.claim("t1", "o", 1.0)
        await store.append(Append("t1", 1, (event(2), event(3)), "working", 2.0))
        found, upto = await keeping.placed(0, "default")
        assert [(each.task, each.event.seq) for each in found] == [("t1", 1), ("t2", 1), ("t1", 2), ("t1", 3)]
        assert upto == await keeping.newest() == found[-1].place
        own, _ = await keeping.placed(0, "default", "ann", limit=2)
        assert [(each.task, each.event.seq) for each in own] == [("t1", 1), ("t1", 2)]
        rest, upto = await keeping.placed(own[-1].place, "default", "ann", limit=2)
        assert [(each.task, each.event.seq) for each in rest] == [("t1", 3)]
        assert await keeping.placed(upto, "default") == ([], upto)
