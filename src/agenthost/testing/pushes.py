"""The conformance suite of `core.pushes.Pushes`. Subclass `PushesSuite` and give it a fixture `pushes`."""

from agenthost.core.pushes import Push, Pushes


def _push(id: str, task: str = "t1", created: float = 1.0) -> Push:
    return Push(task, id, "https://a.example/hook", "default", "ann", created, "echo", "https://h", "t", "Basic", "c")


class PushesSuite:
    """What every keeper of addresses does."""

    async def test_one_is_kept_as_it_is_and_replaced_by_its_id(self, pushes: Pushes) -> None:
        assert await pushes.of("t1") == []
        await pushes.put(_push("a"))
        assert await pushes.of("t1") == [_push("a")]
        changed = Push("t1", "a", "https://b.example", "default", "ann", 1.0, seen={"t1": 4, "t1.x": 2}, version="0.3")
        await pushes.put(changed)
        assert await pushes.of("t1") == [changed]

    async def test_those_of_a_task_come_in_the_order_of_their_making(self, pushes: Pushes) -> None:
        await pushes.put(_push("b", created=2.0))
        await pushes.put(_push("z", created=1.0))
        await pushes.put(_push("a", created=2.0))
        await pushes.put(_push("a", "t2"))
        assert [push.id for push in await pushes.of("t1")] == ["z", "a", "b"]

    async def test_what_was_told_is_noted_and_the_end_is_the_end(self, pushes: Pushes) -> None:
        await pushes.put(_push("a"))
        await pushes.put(_push("b", created=2.0))
        await pushes.told("t1", "a", {"t1": 7}, False)
        assert [push.seen for push in await pushes.open()] == [{"t1": 7}, {}]
        await pushes.told("t1", "a", {"t1": 9}, True)
        assert [push.id for push in await pushes.open()] == ["b"]
        assert [(push.seen, push.done) for push in await pushes.of("t1")] == [({"t1": 9}, True), ({}, False)]
        await pushes.told("t1", "gone", {}, True)

    async def test_one_is_forgotten_once(self, pushes: Pushes) -> None:
        await pushes.put(_push("a"))
        assert await pushes.delete("t1", "a")
        assert not await pushes.delete("t1", "a")
        assert await pushes.of("t1") == await pushes.open() == []
