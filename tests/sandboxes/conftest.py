"""A real bubblewrap sandbox for each test. Where there can't be one, its own reason is the skip's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.sandboxes.bubblewrap import Bubblewrap


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox-cache")


@pytest.fixture
def workspaces(tmp_path: Path) -> Path:
    folder = tmp_path / "workspaces"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(workspaces: Path) -> Path:
    folder = workspaces / "one"
    folder.mkdir()
    return folder


@pytest.fixture
async def sandbox(cache: Path, workspaces: Path) -> AsyncIterator[Bubblewrap]:
    sandbox = Bubblewrap(cache, workspaces)
    said = await sandbox.available()
    if not said.available:
        await sandbox.close()
        pytest.skip(f"no sandbox here: {said.detail}; {said.fix}")
    yield sandbox
    await sandbox.close()
