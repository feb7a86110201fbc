"""Every keeper of grants by the suite."""

from stores.twins import InMemory, InSQLite

from agenthost.testing.grants import GrantsSuite


class TestMemory(InMemory, GrantsSuite):
    pass


class TestSQLite(InSQLite, GrantsSuite):
    pass
