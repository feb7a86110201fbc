"""The host in memory keeps the promises of the port."""

from collections.abc import AsyncIterator

import pytest

from agenthost.testing.api import ApiCase, HostApiSuite
from agenthost.testing.memory_host import MemoryHost
from agenthost.testing.offering import MODEL, offering


class TestMemoryHost(HostApiSuite):
    @pytest.fixture
    async def case(self) -> AsyncIterator[ApiCase]:
        host = MemoryHost()
        async with offering(host.get_file) as host.offers[MODEL]:
            yield ApiCase(host, "quick", "asking", "slow", "family", "pretended")
