"""Every keeper of addresses for push notifications by the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.pushes import Pushes
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.sqlite.pushes import SQLitePushes
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.pushes import PushesSuite


class TestMemory(PushesSuite):
    @pytest.fixture
    def pushes(self) -> Pushes:
        return MemoryPushes()


class TestSQLite(PushesSuite):
    @pytest.fixture
    async def pushes(self, tmp_path: Path) -> AsyncIterator[Pushes]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield SQLitePushes(store)
        await store.close()
