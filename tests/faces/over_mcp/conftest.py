"""A real host in this process, served on a port as `agenthost up` serves it, with the scripted model."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agenthost.cli.serving import Listening, served
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

HERE = Path(__file__).parent
ENVIRONMENT = {"AGENTHOST_SANDBOX": "bubblewrap"}  # the quickest
SETTINGS = '[tools]\npayments = "tests.faces.over_mcp.fixtures:payments"\n'


@dataclass(frozen=True)
class Door:
    """Where MCP is, and what lets its owner in."""

    url: str
    token: str
    host: Host

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


Opens = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
def opens(tmp_path: Path) -> Opens:
    """Opens the host of one home on a port, again and again where it was closed in between."""
    (tmp_path / "plays.yaml").write_text((HERE / "plays.yaml").read_text())
    home = tmp_path / "home"
    home.mkdir()

    @asynccontextmanager
    async def open(settings: str = "", port: int = 0) -> AsyncGenerator[Door]:
        (home / "agenthost.toml").write_text(SETTINGS + settings)
        environment = ENVIRONMENT | {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"}
        host = await open_host(load(home, environment), work=True)
        try:
            _, problems = await host.apply({"agents.yaml": (HERE / "agents.yaml").read_text()})
            assert not problems, problems
            async with served(host, home / "host.sock", Listening("127.0.0.1", port)) as url:
                yield Door(f"{url}/mcp", (home / "token").read_text().strip(), host)
        finally:
            await host.close()

    return open


@pytest.fixture
async def door(opens: Opens) -> AsyncGenerator[Door]:
    async with opens() as open:
        yield open
