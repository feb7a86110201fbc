"""The conformance suite of the port `core.ports.Store`: every adapter passes it.

Subclass `StoreConformance` in a test module and give it a fixture `store` that hands out an open,
empty store:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def store(self):
            store = MyStore(...)
            await store.open()
            yield store
            await store.close()
"""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agenthost.core.budgets import Limits, Spend
from agenthost.core.errors import BudgetRefused, LostLease, NotFound
from agenthost.core.lifecycle import FINAL, State
from agenthost.core.ports import Append, Filter, InboxItem, LedgerEntry, NewTask, Settlement, Store, StoredEvent
from agenthost.core.tasks import Scope, TaskRow


def event(seq: int, kind: str = "noted", body: bytes = b'{"type":"noted","text":"\xc3\xa9"}') -> StoredEvent:
    """An event as a store keeps it."""
    return StoredEvent(seq, 1000.0 + seq, kind, 1, body)


def new_task(id: str, **fields: Any) -> NewTask:
    """A task to be made; `fields` are those of TaskRow."""
    known: dict[str, Any] = {"kind": "agent", "name": "coder", "state": "submitted", "created": 1000.0}
    row: dict[str, Any] = known | {"updated": 1000.0} | fields
    return NewTask(TaskRow(id=id, **row), event(1, "created"))


def step(task: str, seq: int, epoch: int = 1, events: int = 1, state: State = "working", **fields: Any) -> Append:
    """A step of a task's owner whose events begin with `seq`; `fields` are those of Append."""
    return Append(
        task=task,
        epoch=epoch,
        events=tuple(event(number) for number in range(seq, seq + events)),
        state=state,
        updated=fields.pop("updated", 2000.0 + seq),
        **fields,
    )


def entry(task: str, command: str = "m1", attempt: int = 1, **fields: Any) -> LedgerEntry:
    """An attempt at a model call; `fields` are those of LedgerEntry."""
    known: dict[str, Any] = {"agent": "coder", "model": "default", "at": 1001.5, "worst": Spend(1, 100, 0.25)}
    return LedgerEntry(task=task, command=command, attempt=attempt, **(known | fields))


def item(task: str, id: str, kind: str = "message") -> InboxItem:
    """Something for a task's inbox."""
    return InboxItem(task, id, kind, b'{"text":"hello"}', 1002.5)


async def owned(store: Store, id: str, owner: str = "host-a", **fields: Any) -> TaskRow:
    """A task that was made and claimed: its journal goes on with 2, its epoch is 1."""
    await store.create(new_task(id, **fields))
    return await store.claim(id, owner, now=1000.0)


class StoreConformance:
    """What every store does. No test here needs more than one store object on the data."""

    # --- making tasks

    async def test_a_task_is_made_once(self, store: Store) -> None:
        assert await store.create(new_task("t1", title="first"))
        assert not await store.create(new_task("t1", title="second"))
        row = await store.task("t1")
        assert row and (row.title, row.seq, row.epoch, row.owner, row.root) == ("first", 1, 0, "", "t1")
        assert await store.events("t1") == [event(1, "created")]

    async def test_every_field_of_a_task_is_kept(self, store: Store) -> None:
        wanted = TaskRow(
            "t1.c", "workflow", "w", "submitted", 1.25, 2.5, "n", "p", "t1", "t1", "ä", "paused", "o", "r", 1
        )
        await store.create(NewTask(wanted, event(1)))
        assert await store.task("t1.c") == wanted

    async def test_a_task_that_nobody_made_is_none(self, store: Store) -> None:
        assert await store.task("t1") is None
        assert await store.events("t1") == []
        assert await store.inbox("t1") == []
        assert await store.ledger("t1") == []
        assert await store.files("t1") == {}
        assert await store.spent("t1") == Spend()

    async def test_a_copied_workspace_goes_its_own_way(self, store: Store) -> None:
        await owned(store, "t1")
        await store.append(step("t1", 2, workspace="w1", files={"a": "d1", "b": "d2"}))
        assert await store.create(new_task("t1.c", parent="t1"), copies=[("w1", "w2")])
        await store.append(step("t1", 3, workspace="w1", files={"a": "d3"}))
        assert await store.files("w2") == {"a": "d1", "b": "d2"}
        assert not await store.create(new_task("t1.c", parent="t1"), copies=[("w1", "w2")])
        assert await store.files("w2") == {"a": "d1", "b": "d2"}

    async def test_a_task_begins_with_its_files(self, store: Store) -> None:
        files = {"a": "d1", "b/c": "d2"}
        assert await store.create(new_task("t1"), files=files)
        assert not await store.create(new_task("t1"), files={"other": "d3"})
        assert await store.files("t1") == files

    async def test_a_task_is_made_with_its_owners_first_step(self, store: Store) -> None:
        new = new_task("t1", owner="host-a", epoch=1)
        first = step("t1", 2, events=2, reserve=(entry("t1"),), workspace="t1", files={"a": "d1"})
        assert await store.create(new, files={"b": "d2"}, first=first)
        row = await store.task("t1")
        assert row and (row.seq, row.state, row.epoch, row.owner) == (3, "working", 1, "host-a")
        assert [stored.seq for stored in await store.events("t1")] == [1, 2, 3]
        assert await store.files("t1") == {"a": "d1", "b": "d2"}
        assert await store.spent("t1") == Spend()
        assert [kept.command for kept in await store.ledger("t1")] == ["m1"]
        assert not await store.create(new, first=step("t1", 2))
        assert len(await store.events("t1")) == 3
        await store.append(step("t1", 4, state="completed"))

    async def test_a_task_whose_first_step_is_refused_isnt_made_and_others_are(self, store: Store) -> None:
        poor = entry("t1", scopes=(Scope("t0", Limits(turns=0)),))
        made = await asyncio.gather(
            store.create(new_task("t1", owner="host-a", epoch=1), first=step("t1", 2, reserve=(poor,))),
            store.create(new_task("t2", owner="host-a", epoch=1), first=step("t2", 2)),
            store.create(new_task("t3")),
            return_exceptions=True,
        )
        assert isinstance(made[0], BudgetRefused) and made[1:] == [True, True]
        assert await store.task("t1") is None and await store.events("t1") == [] and await store.ledger("t1") == []
        assert len(await store.events("t2")) == 2 and len(await store.events("t3")) == 1
        assert await store.create(new_task("t1", owner="host-a", epoch=1), first=step("t1", 2))

    async def test_a_task_may_be_owned_from_the_start(self, store: Store) -> None:
        await store.heartbeat("host-a", until=50.0)
        await store.create(new_task("t1", owner="host-a", epoch=1))
        await store.create(new_task("t2", owner="never-heard-of", epoch=1))
        with pytest.raises(LostLease):
            await store.claim("t1", "host-b", now=10.0)
        await store.append(step("t1", 2))
        assert [row.id for row in await store.claimable("host-b", now=10.0, limit=9)] == ["t2"]
        assert {row.id for row in await store.claimable("host-b", now=60.0, limit=9)} == {"t1", "t2"}

    # --- owning

    async def test_claiming_raises_the_epoch(self, store: Store) -> None:
        await store.create(new_task("t1"))
        first = await store.claim("t1", "host-a", now=10.0)
        assert (first.epoch, first.owner, first.state) == (1, "host-a", "submitted")
        again = await store.claim("t1", "host-a", now=11.0)
        assert again.epoch == 2
        assert await store.task("t1") == again

    async def test_a_living_owner_keeps_its_task(self, store: Store) -> None:
        await store.heartbeat("host-a", until=50.0)
        await owned(store, "t1")
        with pytest.raises(LostLease, match="t1"):
            await store.claim("t1", "host-b", now=49.9)
        row = await store.claim("t1", "host-b", now=50.0)
        assert (row.owner, row.epoch) == ("host-b", 2)

    async def test_a_heartbeat_prolongs_the_lease(self, store: Store) -> None:
        await store.heartbeat("host-a", until=50.0)
        await owned(store, "t1")
        await store.heartbeat("host-a", until=90.0)
        with pytest.raises(LostLease):
            await store.claim("t1", "host-b", now=60.0)

    async def test_an_owner_without_heartbeat_holds_nothing(self, store: Store) -> None:
        await owned(store, "t1")
        assert (await store.claim("t1", "host-b", now=0.0)).epoch == 2

    async def test_claiming_what_is_not_there_says_so(self, store: Store) -> None:
        with pytest.raises(NotFound, match="t9"):
            await store.claim("t9", "host-a", now=0.0)

    async def test_a_task_that_ended_can_not_be_claimed(self, store: Store) -> None:
        await owned(store, "t1")
        await store.append(step("t1", 2, state="failed"))
        with pytest.raises(LostLease, match="ended"):
            await store.claim("t1", "host-a", now=9000.0)

    async def test_claimable_lists_what_is_left_first(self, store: Store) -> None:
        await store.heartbeat("dead", until=20.0)
        await store.heartbeat("alive", until=90.0)
        await store.heartbeat("me", until=20.0)
        for number, id in enumerate(("new", "newer", "held", "over", "left", "theirs", "mine")):
            await store.create(new_task(id, created=float(number)))
        await store.hold("held", "paused", "by a person")
        await store.claim("over", "dead", now=1.0)
        await store.append(step("over", 2, state="completed"))
        await store.claim("left", "dead", now=1.0)
        await store.claim("theirs", "alive", now=1.0)
        await store.claim("mine", "me", now=1.0)
        assert [row.id for row in await store.claimable("me", now=30.0, limit=9)] == ["left", "new", "newer"]
        assert [row.id for row in await store.claimable("me", now=10.0, limit=9)] == ["new", "newer"]
        assert [row.id for row in await store.claimable("me", now=30.0, limit=2)] == ["left", "new"]
        await store.hold("held", "", "")
        assert [row.id for row in await store.claimable("me", now=10.0, limit=9)] == ["new", "newer", "held"]

    async def test_retire_ends_the_leases_of_all_others(self, store: Store) -> None:
        await store.heartbeat("old", until=9e9)
        await store.heartbeat("me", until=9e9)
        await owned(store, "t1", "old")
        await owned(store, "t2", "me")
        await store.retire("me", now=5.0)
        assert [row.id for row in await store.claimable("me", now=5.0, limit=9)] == ["t1"]
        with pytest.raises(LostLease):
            await store.claim("t2", "other", now=5.0)
        assert (await store.claim("t1", "me", now=5.0)).epoch == 2

    # --- appending

    async def test_an_append_moves_the_journal_and_the_task(self, store: Store) -> None:
        await owned(store, "t1")
        await store.append(step("t1", 2, events=3, state="input-required", reason="waits for you", updated=77.5))
        row = await store.task("t1")
        assert row and (row.state, row.seq, row.updated, row.reason) == ("input-required", 4, 77.5, "waits for you")
        assert await store.events("t1") == [event(1, "created"), event(2), event(3), event(4)]
        assert await store.events("t1", after=2) == [event(3), event(4)]
        assert await store.events("t1", after=1, limit=2) == [event(2), event(3)]
        assert await store.events("t1", after=4) == []

    async def test_an_append_without_events_moves_the_task(self, store: Store) -> None:
        await owned(store, "t1")
        await store.append(step("t1", 2, events=0, state="auth-required"))
        row = await store.task("t1")
        assert row and (row.state, row.seq) == ("auth-required", 1)

    @pytest.mark.parametrize(
        "losing",
        [
            step("t1", 2, epoch=0),
            step("t1", 2, epoch=2),
            step("t1", 1),
            step("t1", 3),
            step("t9", 2),
            Append("t1", 1, (event(2), event(4)), "working", 1.0),
        ],
        ids=["old epoch", "epoch to come", "event again", "gap", "no such task", "gap inside"],
    )
    async def test_an_append_that_lost_the_task_writes_nothing(self, store: Store, losing: Append) -> None:
        row = await owned(store, "t1")
        await store.put(item("t1", "i1"))
        full = _everything(losing)
        with pytest.raises(LostLease, match=losing.task):
            await store.append(full)
        assert await store.task("t1") == row
        await _nothing_of_it(store)

    async def test_a_former_owner_adds_nothing_more(self, store: Store) -> None:
        await owned(store, "t1", "host-a")
        await store.claim("t1", "host-b", now=0.0)
        with pytest.raises(LostLease):
            await store.append(step("t1", 2, epoch=1))
        await store.append(step("t1", 2, epoch=2))

    async def test_two_appends_at_once_on_one_place_let_one_through(self, store: Store) -> None:
        await owned(store, "t1")
        outcomes = await asyncio.gather(
            *(store.append(step("t1", 2, events=n)) for n in (1, 2, 3)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes].count(LostLease) == 2
        row = await store.task("t1")
        events = await store.events("t1")
        assert row and row.seq == len(events) == [number for number, one in enumerate(outcomes) if one is None][0] + 2

    @pytest.mark.parametrize("final", sorted(FINAL))
    async def test_an_ended_task_is_closed(self, store: Store, final: State) -> None:
        await store.heartbeat("host-a", until=9e9)
        await owned(store, "t1")
        await store.put(item("t1", "i1"))
        await store.hold("t1", "paused", "by a person")
        await store.append(step("t1", 2, state=final, outcome="done", reason="all checks passed"))
        row = await store.task("t1")
        assert row and (row.state, row.outcome, row.reason) == (final, "done", "all checks passed")
        assert (row.owner, row.hold) == ("", "")
        assert await store.inbox("t1") == []
        assert not await store.put(item("t1", "i2"))
        await store.hold("t1", "paused", "too late")
        assert await store.task("t1") == row
        with pytest.raises(LostLease, match="ended"):
            await store.append(step("t1", 3))

    # --- inbox

    async def test_an_inbox_keeps_order_and_counts_an_id_once(self, store: Store) -> None:
        await owned(store, "t1")
        items = [item("t1", "b"), item("t1", "a", "cancel"), item("t1", "c", "reply")]
        assert [await store.put(one) for one in items] == [True, True, True]
        assert not await store.put(item("t1", "a"))
        assert await store.inbox("t1") == items
        await store.append(step("t1", 2, taken=("b", "c")))
        assert await store.inbox("t1") == [items[1]]
        assert not await store.put(items[0])
        assert await store.put(item("t1", "d"))
        assert [one.id for one in await store.inbox("t1")] == ["a", "d"]

    async def test_the_same_id_may_come_to_two_tasks(self, store: Store) -> None:
        await owned(store, "t1")
        await owned(store, "t2")
        assert await store.put(item("t1", "a"))
        assert await store.put(item("t2", "a"))

    async def test_an_inbox_of_nobody_says_so(self, store: Store) -> None:
        with pytest.raises(NotFound, match="t9"):
            await store.put(item("t9", "a"))

    async def test_what_is_sent_arrives_once_and_only_while_the_other_goes_on(self, store: Store) -> None:
        await owned(store, "t1")
        await owned(store, "t1.c", parent="t1")
        await owned(store, "t2")
        await store.append(step("t2", 2, state="completed"))
        sent = item("t1", "child:t1.c", "child")
        await store.append(step("t1.c", 2, send=(sent, item("t2", "x"), item("t9", "x"))))
        await store.append(step("t1", 2, taken=("child:t1.c",)))
        await store.append(step("t1.c", 3, state="completed", send=(sent,)))
        assert await store.inbox("t1") == []
        assert await store.inbox("t2") == []
        row = await store.task("t1.c")
        assert row and row.state == "completed"

    # --- ledger and budgets

    async def test_the_ledger_keeps_every_attempt_of_a_tree_in_order(self, store: Store) -> None:
        await owned(store, "t1")
        await owned(store, "t1.c", parent="t1")
        await owned(store, "t10")
        scopes = (Scope("t1", Limits(turns=9, cost=1.5, duration=60.0)), Scope("t1.c", Limits()))
        first = entry("t1", "z", scopes=scopes, person="ada", namespace="home")
        second, third = replace(entry("t1.c", "a"), priced=False), entry("t1", "z", 2)
        await store.append(step("t1", 2, reserve=(first,)))
        await store.append(step("t1.c", 2, reserve=(second,)))
        await store.append(step("t1", 3, reserve=(third,)))
        await store.append(step("t10", 2, reserve=(entry("t10"),)))
        assert await store.ledger("t1") == [first, second, third]
        spent = Spend(1, 42, 0.125)
        await store.append(step("t1", 4, settle=(Settlement("z", 1, spent, "answered-by"),)))
        settled, _, _ = await store.ledger("t1")
        assert (settled.spent, settled.settled, settled.model) == (spent, True, "answered-by")
        assert (settled.worst, settled.scopes, settled.person) == (first.worst, scopes, "ada")

    async def test_accounts_hold_what_is_reserved_until_it_is_settled(self, store: Store) -> None:
        await owned(store, "t1")
        await owned(store, "t1.c", parent="t1")
        own, above = Scope("t1.c", Limits(turns=5)), Scope("t1", Limits(cost=9.0))
        await store.append(
            step("t1.c", 2, reserve=(entry("t1.c", "a", scopes=(own, above)), entry("t1.c", "b", scopes=(above,))))
        )
        assert await store.spent("t1.c") == Spend(1, 100, 0.25)
        assert await store.spent("t1") == Spend(2, 200, 0.5)
        await store.append(step("t1.c", 3, settle=(Settlement("a", 1, Spend(1, 40, 0.1), "m"),)))
        assert await store.spent("t1.c") == Spend(1, 40, 0.1)
        assert await store.spent("t1") == Spend(2, 140, 0.35)

    async def test_an_attempt_may_be_reserved_and_settled_in_one_step(self, store: Store) -> None:
        await owned(store, "t1")
        scopes = (Scope("t1", Limits()),)
        await store.append(
            step("t1", 2, reserve=(entry("t1", scopes=scopes),), settle=(Settlement("m1", 1, Spend(1, 7, 0.0), "m"),))
        )
        assert await store.spent("t1") == Spend(1, 7, 0.0)

    async def test_many_small_costs_leave_no_rounding_behind(self, store: Store) -> None:
        await owned(store, "t1")
        scopes = (Scope("t1", Limits(cost=2.0)),)
        for number in range(20):
            reserve = (entry("t1", f"m{number}", worst=Spend(1, 1, 0.1), scopes=scopes),)
            await store.append(step("t1", 2 + number, reserve=reserve))
        assert await store.spent("t1") == Spend(20, 20, 2.0)
        for number in range(20):
            await store.append(step("t1", 22 + number, settle=(Settlement(f"m{number}", 1, Spend(), "m"),)))
        assert await store.spent("t1") == Spend()

    @pytest.mark.parametrize(
        ("limits", "words"),
        [
            (Limits(turns=0), "0 model turns"),
            (Limits(tokens=99), "99"),
            (Limits(cost=0.2), "0.20 USD"),
        ],
    )
    async def test_a_budget_without_room_refuses_the_whole_step(self, store: Store, limits: Limits, words: str) -> None:
        row = await owned(store, "t1")
        await store.put(item("t1", "i1"))
        full = _everything(step("t1", 2))
        poor = entry("t1", "poor", scopes=(Scope("t1", Limits()), Scope("t0", limits)))
        with pytest.raises(BudgetRefused, match=words) as refused:
            await store.append(_with(full, reserve=(*full.reserve, poor)))
        assert refused.value.details["scope"] == "t0"
        assert await store.task("t1") == row
        await _nothing_of_it(store)

    async def test_what_is_settled_makes_room(self, store: Store) -> None:
        await owned(store, "t1")
        scopes = (Scope("t1", Limits(tokens=150)),)
        await store.append(step("t1", 2, reserve=(entry("t1", "a", scopes=scopes),)))
        with pytest.raises(BudgetRefused):
            await store.append(step("t1", 3, reserve=(entry("t1", "b", scopes=scopes),)))
        await store.append(step("t1", 3, settle=(Settlement("a", 1, Spend(1, 50, 0.0), "m"),)))
        await store.append(step("t1", 4, reserve=(entry("t1", "b", scopes=scopes),)))

    async def test_two_tasks_can_not_both_take_the_last_of_a_budget(self, store: Store) -> None:
        scopes = (Scope("t1", Limits(turns=2)),)
        names = [f"t1.c{number}" for number in range(5)]
        for name in names:
            await owned(store, name)
        outcomes = await asyncio.gather(
            *(store.append(step(name, 2, reserve=(entry(name, scopes=scopes),))) for name in names),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes].count(BudgetRefused) == 3
        assert (await store.spent("t1")).turns == 2
        assert len(await store.ledger("t1")) == 2

    async def test_a_lost_lease_comes_before_a_budget(self, store: Store) -> None:
        await owned(store, "t1")
        with pytest.raises(LostLease):
            await store.append(step("t1", 2, epoch=7, reserve=(entry("t1", scopes=(Scope("t1", Limits(turns=0)),)),)))

    async def test_an_attempt_is_reserved_once_and_settled_once(self, store: Store) -> None:
        row = await owned(store, "t1")
        for wrong in (
            step("t1", 2, reserve=(entry("t1"), entry("t1"))),
            step("t1", 2, reserve=(entry("t2"),)),
            step("t1", 2, settle=(Settlement("m1", 1, Spend(), "m"),)),
        ):
            with pytest.raises(ValueError, match=r"ledger|reserve for"):
                await store.append(wrong)
        assert await store.task("t1") == row
        settle = (Settlement("m1", 1, Spend(1, 1, 0.0), "m"),)
        await store.append(step("t1", 2, reserve=(entry("t1"),)))
        await store.append(step("t1", 3, settle=settle))
        for wrong in (step("t1", 4, reserve=(entry("t1"),)), step("t1", 4, settle=settle)):
            with pytest.raises(ValueError, match="ledger"):
                await store.append(wrong)

    # --- files

    async def test_a_step_changes_the_files_of_its_workspace(self, store: Store) -> None:
        await owned(store, "t1")
        await store.append(step("t1", 2, workspace="w", files={"b": "d1", "a/ä": "d2", "c": "d3"}))
        await store.append(step("t1", 3, workspace="w", files={"b": "d4", "c": None, "never": None}))
        assert await store.files("w") == {"a/ä": "d2", "b": "d4"}
        assert list(await store.files("w")) == ["a/ä", "b"]

    # --- holds and listings

    async def test_a_hold_says_why_until_it_is_cleared(self, store: Store) -> None:
        await owned(store, "t1")
        await store.hold("t1", "dead-letter", "it failed five times")
        await store.append(step("t1", 2, reason="goes on"))
        row = await store.task("t1")
        assert row and (row.hold, row.reason, row.seq) == ("dead-letter", "it failed five times", 2)
        await store.hold("t1", "", "")
        row = await store.task("t1")
        assert row and (row.hold, row.reason) == ("", "")
        with pytest.raises(NotFound, match="t9"):
            await store.hold("t9", "paused", "")

    async def test_a_listing_is_newest_first_and_paged(self, store: Store) -> None:
        for number in (3, 1, 2, 5, 4):
            await store.create(new_task(f"t{number}", created=float(min(number, 4))))
        seen: list[str] = []
        before = ""
        while page := await store.tasks(Filter(before=before, limit=2)):
            seen += [row.id for row in page]
            before = page[-1].id
        assert seen == ["t5", "t4", "t3", "t2", "t1"]
        assert await store.tasks(Filter(before="nobody")) == []

    async def test_a_listing_gives_what_the_filter_wants(self, store: Store) -> None:
        await owned(store, "t1", created=1.0)
        await store.append(step("t1", 2))
        await store.create(new_task("t1.c", created=2.0, parent="t1", root="t1", name="w", kind="workflow"))
        await store.create(new_task("t1.d", created=3.0, parent="t1"))
        await store.create(new_task("t10", created=4.0, name="w"))
        await store.create(new_task("x", created=5.0, namespace="other"))

        async def ids(**wanted: Any) -> list[str]:
            return [row.id for row in await store.tasks(Filter(**wanted))]

        assert await ids() == ["t10", "t1.d", "t1.c", "t1"]
        assert await ids(namespace="other") == ["x"]
        assert await ids(states=("working",)) == ["t1"]
        assert await ids(states=("working", "submitted"), name="w") == ["t10", "t1.c"]
        assert await ids(root="t1") == ["t1.d", "t1.c", "t1"]
        assert await ids(root="t1", before="t1.d") == ["t1.c", "t1"]
        assert await ids(roots_only=True) == ["t10", "t1"]

    async def test_a_listing_by_the_last_change_is_paged_and_counted(self, store: Store) -> None:
        for number, updated in enumerate((3.0, 5.0, 1.0, 5.0, 2.0, 4.1)):
            await store.create(new_task(f"t{number}", updated=updated, person="ann" if number < 4 else "bob"))
        await store.create(new_task("t1.c", updated=9.0, parent="t1"))
        await store.create(new_task("x", updated=9.0, name="other"))
        wanted = Filter(name="coder", roots_only=True, order="updated", limit=2)
        seen: list[str] = []
        page = await store.tasks(wanted)
        while page:
            seen += [row.id for row in page]
            # What changes in between comes to the front: it is missed by nobody who goes on, and given to nobody twice.
            if len(seen) == 2:
                await owned(store, "new", updated=8.0)
            last = page[-1]
            page = await store.tasks(replace(wanted, before=last.id, before_change=last.updated))
        assert seen == ["t3", "t1", "t5", "t0", "t4", "t2"]
        assert await store.count_tasks(wanted) == 7
        assert await store.count_tasks(replace(wanted, person="ann", before="t0", before_change=3.0)) == 4
        assert await store.count_tasks(replace(wanted, states=("working",))) == 0
        since = replace(wanted, changed_since=4.1)
        assert await store.count_tasks(since) == 4
        assert [row.id for row in await store.tasks(since)] == ["new", "t3"]

    async def test_ids_are_found_by_how_they_begin(self, store: Store) -> None:
        for id in ("ab", "abc", "abd", "ac", "b", "a%", "a_"):
            await store.create(new_task(id))
        assert await store.find("ab") == ["ab", "abc", "abd"]
        assert await store.find("a_") == ["a_"]
        assert await store.find("zz") == []
        for number in range(20):
            await store.create(new_task(f"n{number:02}"))
        assert await store.find("n") == [f"n{number:02}" for number in range(10)]

    async def test_children_are_found_only_by_a_dot_so_that_they_hide_no_other_root(self, store: Store) -> None:
        for id in ("aa", "ab"):
            await store.create(new_task(id))
        for number in range(20):
            await store.create(new_task(f"aa.c{number:02}", parent="aa", root="aa"))
        assert await store.find("a") == ["aa", "ab"]
        assert await store.find("aa.c1") == [f"aa.c1{number}" for number in range(10)]

    # --- definitions and manifests

    async def test_definitions_are_kept_by_their_hash(self, store: Store) -> None:
        await store.put_definition("sha256:1", b"{}")
        await store.put_definition("sha256:1", b"{}")
        assert await store.definition("sha256:1") == b"{}"
        assert await store.definition("sha256:2") is None

    async def test_the_newest_manifest_of_a_name_is_kept(self, store: Store) -> None:
        await store.put_manifests([("Agent", "b", "default", b"old")], 1.0)
        await store.put_manifests([("Agent", "b", "default", b"new")], 2.0)
        await store.put_manifests([("Agent", "a", "default", b"a")], 3.0)
        await store.put_manifests([("Workflow", "b", "default", b"w")], 3.0)
        await store.put_manifests([("Agent", "b", "other", b"o")], 3.0)
        assert await store.manifests("Agent", "default") == {"a": b"a", "b": b"new"}
        assert list(await store.manifests("Agent", "default")) == ["a", "b"]
        assert await store.delete_manifest("Agent", "b", "default")
        assert not await store.delete_manifest("Agent", "b", "default")
        assert await store.manifests("Agent", "default") == {"a": b"a"}
        assert await store.manifests("Agent", "other") == {"b": b"o"}

    async def test_several_manifests_are_kept_at_once(self, store: Store) -> None:
        await store.put_manifests([("Agent", "a", "default", b"1"), ("Workflow", "w", "default", b"2")], 1.0)
        assert await store.manifests("Agent", "default") == {"a": b"1"}
        assert await store.manifests("Workflow", "default") == {"w": b"2"}

    # --- together

    async def test_a_thousand_steps_at_once_all_arrive_and_a_losing_one_hurts_nobody(self, store: Store) -> None:
        names = [f"t{number}" for number in range(100)]
        await asyncio.gather(*(owned(store, name) for name in names))
        losing = [store.append(step(name, 2, epoch=9)) for name in names[:10]]
        for seq in range(2, 12):
            going = [store.append(step(name, seq)) for name in names]
            outcomes = await asyncio.gather(*losing, *going, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [LostLease] * len(losing) + [type(None)] * 100
            losing = []
        for name in names:
            row = await store.task(name)
            assert row and row.seq == 11 == len(await store.events(name))


def _with(batch: Append, **fields: Any) -> Append:
    return replace(batch, **fields)


def _everything(batch: Append) -> Append:
    """The step with something for every table."""
    return _with(
        batch,
        reserve=(entry(batch.task, "rich", scopes=(Scope("t1", Limits()),)),),
        taken=("i1",),
        send=(item("t1", "i2"),),
        workspace="w",
        files={"a": "d1"},
    )


async def _nothing_of_it(store: Store) -> None:
    assert await store.events("t1") == [event(1, "created")]
    assert await store.inbox("t1") == [item("t1", "i1")]
    assert await store.ledger("t1") == []
    assert await store.spent("t1") == Spend()
    assert await store.files("w") == {}
