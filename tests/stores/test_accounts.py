"""Every keeper of accounts by the suite; the audit log of SQLite can't be changed by anybody's statement."""

import sqlite3

import pytest
from stores.twins import InMemory, InSQLite

from agenthost.core.access import Accounts, Deed
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.accounts import AccountsSuite


class TestMemory(InMemory, AccountsSuite):
    pass


class TestSQLite(InSQLite, AccountsSuite):
    async def test_no_statement_changes_or_removes_a_line_of_the_audit_log(
        self, accounts: Accounts, store: SQLiteStore
    ) -> None:
        await accounts.note([Deed(1.0, "ann", "task.start", "t1")])
        with sqlite3.connect(store.file) as connection:
            for statement in ("DELETE FROM deeds", "UPDATE deeds SET person = 'bob'"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    connection.execute(statement)
        connection.close()
