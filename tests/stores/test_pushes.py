"""Every keeper of addresses for push notifications by the suite."""

from stores.twins import InMemory, InSQLite

from agenthost.testing.pushes import PushesSuite


class TestMemory(InMemory, PushesSuite):
    pass


class TestSQLite(InSQLite, PushesSuite):
    pass
