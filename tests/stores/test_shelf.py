"""Every shelf by the suite, and what becomes of the files of things."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.erasure import Erasure
from agenthost.core.shelf import Shelf, Thing
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_erasure import MemoryErasure
from agenthost.stores.memory_keeping import MemoryKeeping
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.memory_shelf import MemoryShelf
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite.erasure import SQLiteErasure
from agenthost.stores.sqlite.shelf import SQLiteShelf
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.shelf import ShelfSuite


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "agenthost.db")
    await store.open()
    yield store
    await store.close()


class TestMemory(ShelfSuite):
    @pytest.fixture
    def shelf(self) -> Shelf:
        return MemoryShelf()


class TestSQLite(ShelfSuite):
    @pytest.fixture
    def shelf(self, store: SQLiteStore) -> Shelf:
        return SQLiteShelf(store)


def _thing(id: str, person: str = "ann", within: str = "") -> Thing:
    return Thing("a.file", id, "default", person, 1.0, b"{}", within, (f"sha256:{id}",))


Both = tuple[Shelf, Erasure]


@pytest.fixture(params=["memory", "sqlite"])
async def both(request: pytest.FixtureRequest, store: SQLiteStore) -> Both:
    """A shelf, and what erases it."""
    if request.param == "sqlite":
        return SQLiteShelf(store), SQLiteErasure(store)
    memory, shelf = MemoryStore(), MemoryShelf()
    await memory.open()
    return shelf, MemoryErasure(
        memory, MemoryAccounts(memory), MemoryPushes(), MemoryWebhooks(memory), shelf, MemoryKeeping(memory)
    )


async def test_files_are_held_while_a_thing_has_them_and_may_go_with_it(both: Both) -> None:
    shelf, erasure = both
    await shelf.put([_thing("1"), _thing("2", within="1")])
    wanted = {"sha256:1", "sha256:2", "sha256:3"}
    assert await erasure.held(wanted) == {"sha256:1", "sha256:2"}
    assert await erasure.doomed("", 10) == []
    await shelf.delete("a.file", "1")
    assert await erasure.held(wanted) == set()
    assert await erasure.doomed("", 10) == ["sha256:1", "sha256:2"]


async def test_things_go_with_their_person_and_with_their_namespace(both: Both) -> None:
    shelf, erasure = both
    await shelf.put([_thing("1"), _thing("2", "eve"), _thing("3", "eve")])
    await erasure.forget_person("default", "eve")
    assert [thing.id for thing in await shelf.of("default", "ann", "a.file")] == ["1"]
    assert await shelf.count("default", "eve", "a.file") == 0
    assert await erasure.doomed("", 10) == ["sha256:2", "sha256:3"]
    await erasure.forget_namespace("default")
    assert await shelf.get("a.file", "1") is None


async def test_things_go_with_the_task_that_they_are_within(both: Both) -> None:
    shelf, erasure = both
    await shelf.put([_thing("1", within="t1"), _thing("2", within="t2")])
    assert await erasure.erase("t1")
    assert [await shelf.get("a.file", "1"), (await shelf.get("a.file", "2")) is None] == [None, False]
    assert await erasure.doomed("", 10) == ["sha256:1"]
