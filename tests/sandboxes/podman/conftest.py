"""The sandbox `docker` on a real Podman for each test, in the one that the tests have for themselves."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testbeds.engines import IMAGE

from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings


@pytest.fixture
async def sandbox(podman_engine: str, workspaces: Path) -> AsyncIterator[Docker]:
    settings = DockerSettings(host=podman_engine, image=IMAGE, warm=0)
    sandbox = Docker(settings, workspaces, f"test-{os.getpid()}-{id(workspaces)}")
    yield sandbox
    await sandbox.close()
