"""Every keeper of webhooks by the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.ports import Store
from agenthost.core.webhooks import Webhooks
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.stores.sqlite.webhooks import SQLiteWebhooks
from agenthost.testing.webhooks import WebhooksSuite


class TestMemory(WebhooksSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def webhooks(self, store: Store) -> Webhooks:
        return MemoryWebhooks(store)


class TestSQLite(WebhooksSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def webhooks(self, store: SQLiteStore) -> Webhooks:
        return SQLiteWebhooks(store)
