"""Every keeper of accounts by the suite; the audit log of SQLite can't be changed by anybody's statement."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.access import Accounts, Deed
from agenthost.core.ports import Store
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.sqlite.accounts import SQLiteAccounts
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.accounts import AccountsSuite


class TestMemory(AccountsSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def accounts(self, store: Store) -> Accounts:
        return MemoryAccounts(store)


class TestSQLite(AccountsSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
        store = SQLiteStore(tmp_path / "agenthost.db")
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def accounts(self, store: SQLiteStore) -> Accounts:
        return SQLiteAccounts(store)

    async def test_no_statement_changes_or_removes_a_line_of_the_audit_log(
        self, accounts: Accounts, store: SQLiteStore
    ) -> None:
        await accounts.note([Deed(1.0, "ann", "task.start", "t1")])
        with sqlite3.connect(store.file) as connection:
            for statement in ("DELETE FROM deeds", "UPDATE deeds SET person = 'bob'"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    connection.execute(statement)
        connection.close()
