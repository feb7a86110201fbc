"""The suite of HostApi on a real host, in process and through the client over its socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.client.client import connect
from agenthost.faces.http.server import serve
from agenthost.host.host import open_host
from agenthost.host.settings import load
from agenthost.testing.api import ApiCase, HostApiSuite
from agenthost.testing.offering import SETTINGS, provider
from tests.product.hosts import make_home


class TestHost(HostApiSuite):
    @pytest.fixture
    async def case(self, tmp_path: Path) -> AsyncIterator[ApiCase]:
        async with provider() as url:
            home = make_home(tmp_path / "home", more=SETTINGS % url)
            host = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
            yield ApiCase(host, "quick", "asking", "slow", "family")
            await host.close()


class TestHostOverItsSocket(HostApiSuite):
    @pytest.fixture
    async def case(self, tmp_path: Path) -> AsyncIterator[ApiCase]:
        async with provider() as url:
            home = make_home(tmp_path / "home", more=SETTINGS % url)
            host = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
            async with serve(host, home / "host.sock"), connect(home, {}) as client:
                yield ApiCase(client, "quick", "asking", "slow", "family")
            await host.close()
