"""A real Docker sandbox for each test, in the engine that the tests have for themselves."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testbeds.docker import IMAGE

from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings


@pytest.fixture
def runtime() -> str:
    """The engine's runtime for the containers of a test."""
    return "runc"


@pytest.fixture
async def sandbox(docker_engine: str, runtime: str, workspaces: Path) -> AsyncIterator[Docker]:
    if runtime == "runsc" and shutil.which("runsc") is None:
        assert os.environ.get("AGENTHOST_TEST_GVISOR") != "required", "AGENTHOST_TEST_GVISOR=required, and no runsc"
        pytest.skip("runsc is not here; run: scripts/gvisor.sh")
    settings = DockerSettings(host=docker_engine, image=IMAGE, warm=0, runtime=runtime)
    sandbox = Docker(settings, workspaces, f"test-{os.getpid()}-{id(workspaces)}")
    yield sandbox
    await sandbox.close()
