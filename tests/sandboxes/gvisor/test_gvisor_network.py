"""Granted network, services and packages in gVisor."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.sandboxes.gvisor.sandbox import Gvisor
from agenthost.testing.egress import EgressSuite, ServiceSuite
from agenthost.testing.outside import Outside, outside
from agenthost.testing.packages import PackagesSuite, index

__all__ = ["index"]


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
async def sandbox(sandbox: Gvisor, cache: Path, workspaces: Path, world: Outside) -> AsyncIterator[Gvisor]:
    made = Gvisor(cache, workspaces, way=world.way)
    yield made
    await made.close()


class TestGrantedNetwork(EgressSuite):
    pass


class TestServices(ServiceSuite):
    pass


class TestPackages(PackagesSuite):
    pass
