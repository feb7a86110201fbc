"""Everybody who counts a store, by the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.access import Accounts
from agenthost.core.ports import Store
from agenthost.core.stock import Stock
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_stock import MemoryStock
from agenthost.stores.sqlite import SQLiteStore
from agenthost.stores.sqlite.accounts import SQLiteAccounts
from agenthost.stores.sqlite.stock import SQLiteStock
from agenthost.testing.stock import StockSuite


class TestMemory(StockSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def accounts(self, store: Store) -> Accounts:
        return MemoryAccounts(store)

    @pytest.fixture
    def stock(self, store: Store, accounts: Accounts) -> Stock:
        return MemoryStock(store, accounts)


class TestSQLite(StockSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def accounts(self, store: SQLiteStore) -> Accounts:
        return SQLiteAccounts(store)

    @pytest.fixture
    def stock(self, store: SQLiteStore) -> Stock:
        return SQLiteStock(store)
