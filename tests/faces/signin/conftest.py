"""A host with a few people, and browsers that come to it."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from agenthost.core.administration import NewPerson
from agenthost.host.host import Host
from tests.faces.signin.browser import Browser, browsers
from tests.host.conftest import ASKER, ECHO, PLAYS, Opens, log, opens

__all__ = ["log", "opens"]

PASSWORD = "correct horse battery"
TOML = "[a2a]\nenabled = false\n[mcp]\nenabled = false\n"


@pytest.fixture
async def host(opens: Opens) -> Host:
    host = await opens(PLAYS, ECHO, ASKER, work=True, toml=TOML)
    await host.admin().add_person(NewPerson("ann", "user", "Ann <Lee>", PASSWORD))
    return host


@pytest.fixture
async def browser(host: Host, tmp_path: Path) -> AsyncGenerator[Callable[[], Browser]]:
    async with browsers(host, tmp_path) as make:
        yield make
