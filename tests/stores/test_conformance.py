from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.stores.memory import MemoryStore
from agenthost.stores.sqlite import SQLiteStore
from agenthost.testing.stores import StoreConformance


class TestSQLite(StoreConformance):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield store
        await store.close()


class TestMemory(StoreConformance):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()
