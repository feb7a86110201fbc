"""Docker passes the suite of its port, in a real engine that the tests have for themselves."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testbeds.docker import IMAGE

from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.testing.sandboxes import SandboxSuite, shell


@pytest.fixture
async def sandbox(docker_engine: str, workspaces: Path) -> AsyncIterator[Docker]:
    settings = DockerSettings(host=docker_engine, image=IMAGE, warm=0)
    sandbox = Docker(settings, workspaces, f"test-{os.getpid()}-{id(workspaces)}")
    yield sandbox
    await sandbox.close()


class TestDocker(SandboxSuite):
    async def test_cancelling_ends_the_run(self, sandbox: Docker, workspace: Path) -> None:
        # What a run writes comes when it has ended, so nothing of it can be waited for.
        run = asyncio.get_running_loop().create_task(shell(sandbox, workspace, "while :; do echo x; sleep 0.02; done"))
        await asyncio.sleep(1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        outcome = await shell(sandbox, workspace, "ls /proc | grep -c '^[0-9]'")
        assert int(outcome.stdout) <= 4
