import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.testing.sandboxes import SandboxSuite, shell
from agenthost.testing.controls import ControlsSuite
from agenthost.testing.attacks import AttackSuite


@pytest.fixture
async def sandbox(workspaces: Path) -> AsyncIterator[Docker]:
    settings = DockerSettings(
        host=os.environ.get("PODMAN_TRY", "unix:///tmp/pd1/podman.sock"),
        image="agenthost-test",
        warm=0,
        runtime=os.environ.get("PODMAN_RT", ""),
    )
    sandbox = Docker(settings, workspaces, f"test-{os.getpid()}-{id(workspaces)}")
    yield sandbox
    await sandbox.close()


class TestDocker(SandboxSuite):
    pass


class TestC(ControlsSuite):
    pass


class TestA(AttackSuite):
    pass
