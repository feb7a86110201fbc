"""A real gVisor sandbox for each test; where runsc is missing, tests are skipped with the reason."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.sandboxes.gvisor.sandbox import Gvisor


@pytest.fixture
async def sandbox(cache: Path, workspaces: Path) -> AsyncIterator[Gvisor]:
    sandbox = Gvisor(cache, workspaces)
    said = await sandbox.available()
    if not said.available:
        await sandbox.close()
        reason = f"no sandbox gvisor here: {said.detail}; {said.fix}"
        assert os.environ.get("AGENTHOST_TEST_GVISOR") != "required", reason
        pytest.skip(reason)
    yield sandbox
    await sandbox.close()
