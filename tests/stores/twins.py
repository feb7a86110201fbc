"""All that is kept of one host, in memory and in SQLite: what the suites of the ports run over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.access import Accounts
from agenthost.core.stock import Stock
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_conversations import MemoryConversations
from agenthost.stores.memory_erasure import MemoryErasure
from agenthost.stores.memory_grants import MemoryGrants
from agenthost.stores.memory_keeping import MemoryKeeping
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.memory_shelf import MemoryShelf
from agenthost.stores.memory_stock import MemoryStock
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite.accounts import SQLiteAccounts
from agenthost.stores.sqlite.conversations import SQLiteConversations
from agenthost.stores.sqlite.erasure import SQLiteErasure
from agenthost.stores.sqlite.grants import SQLiteGrants
from agenthost.stores.sqlite.keeping import SQLiteKeeping
from agenthost.stores.sqlite.pushes import SQLitePushes
from agenthost.stores.sqlite.stock import SQLiteStock
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.stores.sqlite.webhooks import SQLiteWebhooks
from agenthost.testing.erasure import Kept


class InMemory:
    """Fixtures of what is kept in memory."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def keeping(self, store: MemoryStore) -> MemoryKeeping:
        return MemoryKeeping(store)

    @pytest.fixture
    def accounts(self, store: MemoryStore) -> MemoryAccounts:
        return MemoryAccounts(store)

    @pytest.fixture
    def stock(self, store: MemoryStore, accounts: Accounts) -> Stock:
        return MemoryStock(store, accounts)

    @pytest.fixture
    def pushes(self) -> MemoryPushes:
        return MemoryPushes()

    @pytest.fixture
    def webhooks(self, store: MemoryStore) -> MemoryWebhooks:
        return MemoryWebhooks(store)

    @pytest.fixture
    def grants(self) -> MemoryGrants:
        return MemoryGrants()

    @pytest.fixture
    def kept(
        self,
        store: MemoryStore,
        keeping: MemoryKeeping,
        accounts: MemoryAccounts,
        pushes: MemoryPushes,
        webhooks: MemoryWebhooks,
        grants: MemoryGrants,
    ) -> Kept:
        conversations = MemoryConversations(store)
        erasure = MemoryErasure(store, accounts, pushes, webhooks, MemoryShelf(), keeping, conversations)
        erasure.grants = grants
        return Kept(store, keeping, accounts, pushes, webhooks, erasure, conversations)


class InSQLite:
    """Fixtures of what is kept in one SQLite file."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def keeping(self, store: SQLiteStore) -> SQLiteKeeping:
        return SQLiteKeeping(store)

    @pytest.fixture
    def accounts(self, store: SQLiteStore) -> SQLiteAccounts:
        return SQLiteAccounts(store)

    @pytest.fixture
    def stock(self, store: SQLiteStore) -> Stock:
        return SQLiteStock(store)

    @pytest.fixture
    def pushes(self, store: SQLiteStore) -> SQLitePushes:
        return SQLitePushes(store)

    @pytest.fixture
    def webhooks(self, store: SQLiteStore) -> SQLiteWebhooks:
        return SQLiteWebhooks(store)

    @pytest.fixture
    def grants(self, store: SQLiteStore) -> SQLiteGrants:
        return SQLiteGrants(store)

    @pytest.fixture
    def kept(
        self,
        store: SQLiteStore,
        keeping: SQLiteKeeping,
        accounts: SQLiteAccounts,
        pushes: SQLitePushes,
        webhooks: SQLiteWebhooks,
    ) -> Kept:
        return Kept(store, keeping, accounts, pushes, webhooks, SQLiteErasure(store), SQLiteConversations(store))
