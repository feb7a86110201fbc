"""The host in memory keeps the promises of the port."""

import pytest

from agenthost.testing.api import ApiCase, HostApiSuite
from agenthost.testing.memory_host import MemoryHost


class TestMemoryHost(HostApiSuite):
    @pytest.fixture
    def case(self) -> ApiCase:
        return ApiCase(MemoryHost(), "quick", "asking", "slow", "family", "pretended")
