"""A real bubblewrap sandbox for each test. Where bwrap alone can't start either, tests are skipped with the reason."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.sandboxes.bubblewrap import Bubblewrap


def bwrap_works() -> bool:
    """Whether there can be a sandbox here: nested namespaces by bwrap and util-linux alone."""
    if shutil.which("bwrap") is None:
        return False
    probe = [
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--unshare-pid",
        "--unshare-net",
        "true",
    ]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


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
        assert not bwrap_works(), f"bwrap works here and the sandbox doesn't: {said.detail}"
        pytest.skip(f"no sandbox here: {said.detail}; {said.fix}")
    yield sandbox
    await sandbox.close()
