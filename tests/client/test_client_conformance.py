"""A client over a real socket does what a host does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.client.client import connect
from agenthost.faces.http.server import serve
from agenthost.testing.api import ApiCase, HostApiSuite
from agenthost.testing.memory_host import MemoryHost
from agenthost.testing.offering import MODEL, offering


class TestClient(HostApiSuite):
    @pytest.fixture
    async def case(self, tmp_path: Path) -> AsyncIterator[ApiCase]:
        host = MemoryHost()
        async with (
            offering(host.get_file) as host.offers[MODEL],
            serve(host, tmp_path / "home" / "host.sock"),
            connect(tmp_path / "home", {}) as client,
        ):
            yield ApiCase(client, "quick", "asking", "slow", "family", "pretended")


async def test_the_machine_and_who_waits_for_it_come_through(tmp_path: Path) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "home" / "host.sock"), connect(tmp_path / "home", {}) as client:
        info = await client.info()
    assert info == await host.info()
    assert info.waiting and info.machine
