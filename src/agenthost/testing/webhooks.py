"""The conformance suite of `core.webhooks.Webhooks`. Subclass `WebhooksSuite` and give it fixtures `webhooks` and `store`
(of one and the same thing, open)."""

from msgspec.structs import replace

from agenthost.core.events import VERSION
from agenthost.core.lifecycle import State
from agenthost.core.ports import Append, NewTask, Store, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.core.webhooks import Delivery, Mark, Webhook, Webhooks

ANN = Webhook("wh1", "ann", "https://ann.example/hook", 1.0)


def _delivery(number: int, root: str = "t1", webhook: str = "wh1") -> Delivery:
    return Delivery(f"msg{number}", webhook, root, "task.ended", float(number), b"{}", due=float(number))


async def _moved(store: Store, task: str, state: State, person: str = "ann") -> None:
    """Make a task that comes to a state with its second event."""
    row = TaskRow(task, "agent", "a", "working", 1.0, 1.0, person=person, root=task, owner="me", epoch=1)
    await store.create(NewTask(row, StoredEvent(1, 1.0, "created", VERSION, b"{}")))
    await _step(store, task, state, 2)


async def _step(store: Store, task: str, state: State, seq: int) -> None:
    event = StoredEvent(seq, 2.0, "noted", VERSION, b"{}")
    await store.append(Append(task, 1, (event,), state, 2.0))


class WebhooksSuite:
    """What every keeper of webhooks does."""

    async def test_webhooks_are_kept_as_they_are_and_are_their_persons(self, webhooks: Webhooks) -> None:
        other = Webhook("wh2", "bob", "https://b.example", 2.0, "lab", ("webhook.test",), "t9", "gone")
        await webhooks.put(ANN)
        await webhooks.put(other)
        assert await webhooks.get("wh2") == other
        assert await webhooks.of("default", "ann") == [ANN]
        assert await webhooks.of("default", "bob") == []
        changed = replace(ANN, disabled="it is gone")
        await webhooks.put(changed)
        assert await webhooks.of("default", "ann") == [changed]
        assert await webhooks.delete("wh1")
        assert not await webhooks.delete("wh1")
        assert await webhooks.get("wh1") is None

    async def test_whoever_has_enough_under_way_waits_and_the_others_dont(self, webhooks: Webhooks) -> None:
        await webhooks.put(ANN)
        await webhooks.put(Webhook("wh2", "bob", "https://b.example", 1.0))
        await webhooks.add([_delivery(1), _delivery(2, "t2", "wh2")])
        assert await webhooks.next_due(["default/ann"]) == 2.0
        assert [each.id for each in await webhooks.take(5.0, 9.0, 10, ["default/ann"])] == ["msg2"]
        assert await webhooks.next_due(["default/ann", "default/bob"]) is None
        assert [each.id for each in await webhooks.take(5.0, 9.0, 10, ["default/bob"])] == ["msg1"]

    async def test_one_that_is_disabled_may_go_on_again_and_one_that_is_gone_stays_gone(
        self, webhooks: Webhooks
    ) -> None:
        await webhooks.put(ANN)
        await webhooks.disable("wh1", "it is gone")
        assert await webhooks.get("wh1") == replace(ANN, disabled="it is gone")
        await webhooks.disable("wh1", "")
        assert await webhooks.get("wh1") == ANN
        await webhooks.delete("wh1")
        await webhooks.disable("wh1", "it is gone")
        assert await webhooks.get("wh1") is None

    async def test_a_task_that_ended_or_asks_is_marked_for_those_who_are_told(
        self, webhooks: Webhooks, store: Store
    ) -> None:
        await _moved(store, "t0", "completed")  # before anybody wanted to know
        await webhooks.put(ANN)
        await _moved(store, "t1", "completed")
        await _moved(store, "t2", "input-required")
        await _moved(store, "t3", "working")
        await _moved(store, "t4", "completed", person="bob")
        found = [mark for mark in await webhooks.marks(10) if mark.task != "t0"]
        assert [replace(mark, at=0.0) for mark in found] == [Mark("t1", 2, 0), Mark("t2", 2, 0)]
        assert all(mark.at >= 2.0 for mark in found)
        for mark in found:
            await webhooks.add([], mark)
        assert [mark for mark in await webhooks.marks(10) if mark.task != "t0"] == []
        await _step(store, "t2", "input-required", 3)
        (again,) = [mark for mark in await webhooks.marks(10) if mark.task != "t0"]
        assert replace(again, at=0.0) == Mark("t2", 3, 2)

    async def test_a_task_whose_question_was_answered_is_marked_once_more(
        self, webhooks: Webhooks, store: Store
    ) -> None:
        await webhooks.put(ANN)
        await _moved(store, "t1", "input-required")
        (mark,) = await webhooks.marks(10)
        await webhooks.add([], mark)
        await _step(store, "t1", "working", 3)
        await _step(store, "t1", "working", 4)
        (again,) = await webhooks.marks(10)
        assert replace(again, at=0.0) == Mark("t1", 3, 2)
        await webhooks.add([], again)
        assert await webhooks.marks(10) == []

    async def test_a_task_that_asks_with_its_first_step_is_marked_too(self, webhooks: Webhooks, store: Store) -> None:
        await webhooks.put(ANN)
        row = TaskRow("t1", "agent", "a", "input-required", 1.0, 1.0, person="ann", root="t1", seq=1)
        await store.create(NewTask(row, StoredEvent(1, 1.0, "created", VERSION, b"{}")))
        assert [replace(mark, at=0.0) for mark in await webhooks.marks(10)] == [Mark("t1", 1, 0)]

    async def test_a_delivery_is_kept_once_and_taken_by_one(self, webhooks: Webhooks) -> None:
        await webhooks.put(ANN)
        await webhooks.add([_delivery(1), _delivery(1)])
        await webhooks.add([replace(_delivery(1), body=b"other")])
        assert await webhooks.next_due() == 1.0
        assert await webhooks.take(0.5, 9.0, 10) == []
        (taken,) = await webhooks.take(1.0, 9.0, 10)
        assert (taken.id, taken.body, taken.due) == ("msg1", b"{}", 9.0)
        assert await webhooks.take(1.0, 9.0, 10) == []
        (again,) = await webhooks.take(9.0, 20.0, 10)
        assert again.id == "msg1"

    async def test_those_of_one_task_come_in_order_and_others_dont_wait(self, webhooks: Webhooks) -> None:
        await webhooks.put(ANN)
        await webhooks.add([_delivery(1), _delivery(2), _delivery(3, "t2")])
        taken = await webhooks.take(10.0, 20.0, 10)
        assert [delivery.id for delivery in taken] == ["msg1", "msg3"]
        await webhooks.settle(replace(taken[0], attempts=1, due=30.0, status=500, reason="it failed"))
        assert await webhooks.take(29.0, 40.0, 10) == [replace(taken[1], due=40.0)]
        (again,) = [each for each in await webhooks.take(30.0, 50.0, 10) if each.root == "t1"]
        assert (again.id, again.attempts, again.status, again.reason) == ("msg1", 1, 500, "it failed")
        await webhooks.settle(replace(again, state="dead", attempts=2))
        assert [delivery.id for delivery in await webhooks.take(31.0, 60.0, 10)] == ["msg2"]

    async def test_nothing_is_sent_for_one_that_is_disabled_or_gone(self, webhooks: Webhooks) -> None:
        await webhooks.put(replace(ANN, disabled="it is gone"))
        await webhooks.add([_delivery(1)])
        assert await webhooks.take(10.0, 20.0, 10) == []
        assert await webhooks.next_due() is None
        await webhooks.delete("wh1")
        await webhooks.add([_delivery(2)])
        assert await webhooks.deliveries("wh1") == []

    async def test_deliveries_are_listed_newest_first_in_pages_and_pruned_when_over(self, webhooks: Webhooks) -> None:
        await webhooks.put(ANN)
        await webhooks.add([_delivery(number, f"t{number}") for number in (1, 2, 3)])
        page = await webhooks.deliveries("wh1", limit=2)
        assert [each.id for each in page] == ["msg3", "msg2"]
        assert [each.id for each in await webhooks.deliveries("wh1", page[-1].place)] == ["msg1"]
        for delivery in await webhooks.take(10.0, 20.0, 2):
            await webhooks.settle(replace(delivery, state="delivered"))
        assert await webhooks.prune(2.0) == 1
        assert [each.id for each in await webhooks.deliveries("wh1")] == ["msg3", "msg2"]
