"""Everybody who counts a store, by the suite."""

from stores.twins import InMemory, InSQLite

from agenthost.testing.stock import StockSuite


class TestMemory(InMemory, StockSuite):
    pass


class TestSQLite(InSQLite, StockSuite):
    pass
