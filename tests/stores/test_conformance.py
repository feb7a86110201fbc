"""Every store by the suite."""

from stores.twins import InMemory, InSQLite

from agenthost.testing.stores import StoreConformance


class TestMemory(InMemory, StoreConformance):
    pass


class TestSQLite(InSQLite, StoreConformance):
    pass
