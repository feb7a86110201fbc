"""Every keeper of schedules by the suite."""

import pytest
from stores.twins import InMemory, InSQLite

from agenthost.core.schedules import Schedules
from agenthost.stores.memory_schedules import MemorySchedules
from agenthost.stores.sqlite.schedules import SQLiteSchedules
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.schedules import SchedulesSuite


class TestMemory(InMemory, SchedulesSuite):
    @pytest.fixture
    def schedules(self) -> Schedules:
        return MemorySchedules()


class TestSQLite(InSQLite, SchedulesSuite):
    @pytest.fixture
    def schedules(self, store: SQLiteStore) -> Schedules:
        return SQLiteSchedules(store)
