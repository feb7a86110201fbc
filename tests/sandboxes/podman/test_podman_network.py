"""Granted network, services and packages on Podman."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testbeds.engines import IMAGE

from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.testing.egress import EgressSuite, ServiceSuite
from agenthost.testing.outside import Outside, outside
from agenthost.testing.packages import PackagesSuite, index

__all__ = ["index"]


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
async def sandbox(podman_engine: str, workspaces: Path, world: Outside) -> AsyncIterator[Docker]:
    settings = DockerSettings(host=podman_engine, image=IMAGE, warm=0)
    sandbox = Docker(settings, workspaces, f"test-{os.getpid()}-{id(workspaces)}", world.way)
    yield sandbox
    await sandbox.close()


class TestGrantedNetwork(EgressSuite):
    pass


class TestServices(ServiceSuite):
    pass


class TestPackages(PackagesSuite):
    pass
