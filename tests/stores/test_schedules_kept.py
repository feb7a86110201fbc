"""Every keeper of schedules by the suite."""

import pytest
from msgspec.structs import replace
from stores.twins import InMemory, InSQLite

from agenthost.core.erasure import Erasure
from agenthost.core.schedules import Run, Schedules
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_erasure import MemoryErasure
from agenthost.stores.memory_keeping import MemoryKeeping
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.memory_schedules import MemorySchedules
from agenthost.stores.memory_shelf import MemoryShelf
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite.erasure import SQLiteErasure
from agenthost.stores.sqlite.schedules import SQLiteSchedules
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.schedules import MORNING, SchedulesSuite


class TestMemory(InMemory, SchedulesSuite):
    @pytest.fixture
    def schedules(self) -> Schedules:
        return MemorySchedules()


class TestSQLite(InSQLite, SchedulesSuite):
    @pytest.fixture
    def schedules(self, store: SQLiteStore) -> Schedules:
        return SQLiteSchedules(store)


DIGEST = "sha256:" + "1" * 64
GIVES = MORNING.spec | {"run": {"agent": "echo", "text": "x", "files": [{"digest": DIGEST}]}}


class ErasureSuite:
    """What a schedule gives stays as long as it does, and whoever is erased leaves none."""

    async def test_a_file_is_held_while_a_schedule_gives_it(self, schedules: Schedules, erasure: Erasure) -> None:
        await schedules.add(replace(MORNING, spec=GIVES))
        assert await erasure.held({DIGEST, "sha256:" + "2" * 64}) == {DIGEST}
        await schedules.change(replace(MORNING, spec=GIVES, due=200.0))
        assert await erasure.held({DIGEST}) == {DIGEST} and await erasure.doomed("", 10) == []
        await schedules.change(replace(MORNING, revision=2))
        assert await erasure.held({DIGEST}) == set() and await erasure.doomed("", 10) == [DIGEST]

    async def test_whoever_is_erased_leaves_none(self, schedules: Schedules, erasure: Erasure) -> None:
        await schedules.add(replace(MORNING, spec=GIVES))
        await schedules.add(replace(MORNING, id="s2", person="bob"))
        await schedules.put_run(Run("s1", 1.0, "waiting", 1.0, "ann"))
        await erasure.forget_person("default", "ann")
        assert [each.id for each in await schedules.all("default")] == ["s2"] and await schedules.open() == []
        assert await erasure.doomed("", 10) == [DIGEST]
        await erasure.forget_namespace("default")
        assert await schedules.all("default") == []


class TestErasureInMemory(InMemory, ErasureSuite):
    @pytest.fixture
    def schedules(self) -> MemorySchedules:
        return MemorySchedules()

    @pytest.fixture
    def erasure(self, store: MemoryStore, schedules: MemorySchedules) -> Erasure:
        accounts, keeping = MemoryAccounts(store), MemoryKeeping(store)
        return MemoryErasure(
            store, accounts, MemoryPushes(), MemoryWebhooks(store), MemoryShelf(), keeping, schedules=schedules
        )


class TestErasureInSQLite(InSQLite, ErasureSuite):
    @pytest.fixture
    def schedules(self, store: SQLiteStore) -> Schedules:
        return SQLiteSchedules(store)

    @pytest.fixture
    def erasure(self, store: SQLiteStore) -> Erasure:
        return SQLiteErasure(store)
