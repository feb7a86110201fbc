"""What is deleted is gone in every store, by the suite."""

from stores.twins import InMemory, InSQLite

from agenthost.testing.erasure import ErasureSuite


class TestMemory(InMemory, ErasureSuite):
    pass


class TestSQLite(InSQLite, ErasureSuite):
    pass
