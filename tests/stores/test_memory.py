import pytest

from agenthost.core.errors import Unavailable
from agenthost.core.ports import Filter
from agenthost.stores.memory import MemoryStore
from agenthost.testing.stores import event, item, new_task, owned, step


class Crash(BaseException):
    pass


async def test_a_crash_at_a_commit_leaves_nothing_of_that_write() -> None:
    def crash() -> None:
        raise Crash

    store = MemoryStore()
    await store.open()
    row = await owned(store, "t1")
    before = store.snapshot()
    store.on_commit = crash
    for write in (
        store.create(new_task("t2")),
        store.claim("t1", "other", 0.0),
        store.append(step("t1", 2, workspace="w", files={"a": "d"})),
        store.put(item("t1", "i")),
        store.hold("t1", "paused", ""),
        store.heartbeat("other", 9.0),
        store.retire("other", 9.0),
        store.put_definition("d", b""),
        store.put_manifests([("k", "n", "default", b"")], 1.0),
    ):
        with pytest.raises(Crash):
            await write
    assert store.snapshot() == before
    store.on_commit = None
    await store.append(step("t1", 2))
    assert (await store.tasks(Filter()))[0].seq == row.seq + 1


async def test_a_snapshot_is_a_disk_that_outlives_the_store() -> None:
    store = MemoryStore()
    await store.open()
    await owned(store, "t1")
    disk = store.snapshot()
    await store.append(step("t1", 2))
    other = MemoryStore()
    await other.open()
    other.restore(disk)
    assert await other.events("t1") == [event(1, "created")]
    await other.append(step("t1", 2, events=2))
    assert len(await store.events("t1")) == 2
    store.restore(disk)
    assert await store.events("t1") == [event(1, "created")]


async def test_a_store_that_is_not_open_says_so() -> None:
    with pytest.raises(Unavailable, match="open it"):
        await MemoryStore().task("t1")


async def test_writes_are_counted() -> None:
    store = MemoryStore(on_commit=None)
    await store.open()
    await owned(store, "t1")
    assert store.commits == 2
