"""A client over a real socket does what a host does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.client.client import connect
from agenthost.faces.http.server import serve
from agenthost.testing.api import ApiCase, HostApiSuite
from agenthost.testing.memory_host import MemoryHost


class TestClient(HostApiSuite):
    @pytest.fixture
    async def case(self, tmp_path: Path) -> AsyncIterator[ApiCase]:
        async with serve(MemoryHost(), tmp_path / "home" / "host.sock"), connect(tmp_path / "home", {}) as client:
            yield ApiCase(client, "quick", "asking", "slow", "family", "pretended")
