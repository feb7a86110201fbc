"""A real host in this process behind MCP's door, with the scripted model."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

MANIFESTS = Path(__file__).with_name("agents.yaml").read_text()
PLAYS = Path(__file__).with_name("plays.yaml").read_text()
ENVIRONMENT = {"AGENTHOST_SANDBOX": "bubblewrap"}  # the quickest

Opens = Callable[[], Coroutine[Any, Any, Host]]


@pytest.fixture
async def opens(tmp_path: Path) -> AsyncGenerator[Opens]:
    """Opens the host of one home, again and again where it was closed in between."""
    opened: list[Host] = []
    plays = tmp_path / "plays.yaml"
    plays.write_text(PLAYS)
    home = tmp_path / "home"
    home.mkdir()
    (home / "agenthost.toml").write_text('[tools]\npayments = "tests.faces.mcp.fixtures:payments"\n')

    async def open() -> Host:
        host = await open_host(load(home, ENVIRONMENT | {"AGENTHOST_MODEL": f"scripted:{plays}"}), work=True)
        opened.append(host)
        done, problems = await host.apply({"agents.yaml": MANIFESTS})
        assert not problems, problems
        assert done
        return host

    yield open
    for host in opened:
        await host.close()


@pytest.fixture
async def host(opens: Opens) -> Host:
    return await opens()
