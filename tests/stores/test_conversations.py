"""Conversations in memory and in SQLite keep to the same suite."""

import pytest

from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_conversations import MemoryConversations
from agenthost.stores.sqlite.conversations import SQLiteConversations
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.conversations import ConversationsSuite
from tests.stores.twins import InMemory, InSQLite


class TestConversationsInMemory(InMemory, ConversationsSuite):
    @pytest.fixture
    def conversations(self, store: MemoryStore) -> MemoryConversations:
        return MemoryConversations(store)


class TestConversationsInSQLite(InSQLite, ConversationsSuite):
    @pytest.fixture
    def conversations(self, store: SQLiteStore) -> SQLiteConversations:
        return SQLiteConversations(store)
