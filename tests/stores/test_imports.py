"""Every keeper of imports by the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_imports import MemoryImports
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite.imports import SQLiteImports
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.stores.sqlite.webhooks import SQLiteWebhooks
from agenthost.testing.imports import ImportsSuite, Kept

pytestmark = pytest.mark.journals("the journals are made up")


class TestMemory(ImportsSuite):
    @pytest.fixture
    async def kept(self) -> AsyncIterator[Kept]:
        store = MemoryStore()
        await store.open()
        yield Kept(store, MemoryImports(store), MemoryWebhooks(store))
        await store.close()


class TestSQLite(ImportsSuite):
    @pytest.fixture
    async def kept(self, tmp_path: Path) -> AsyncIterator[Kept]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield Kept(store, SQLiteImports(store), SQLiteWebhooks(store))
        await store.close()
