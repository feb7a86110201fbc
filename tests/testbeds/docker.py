"""A private Docker engine for a whole run of the tests, shared by its workers, gone when the run has ended.

It starts when a test first wants it. Without root, an engine or the image, tests are skipped with the reason; with
AGENTHOST_TEST_DOCKER=required they fail.
"""

import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from scripts.private_docker import IMAGE, Missing, ask, end, engine, folder_of_run

__all__ = ["IMAGE", "Missing", "ask", "end", "engine", "folder_of_run"]


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] = getattr(config, "workerinput", {})
    bed: tuple[str, int] = given.get("docker_bed") or (folder_of_run(), os.getpid())
    config.stash[BED] = (bed[0], bed[1])


BED = pytest.StashKey[tuple[str, int]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of xdist shares what its controller has."""
    node.workerinput["docker_bed"] = node.config.stash[BED]


def pytest_unconfigure(config: pytest.Config) -> None:
    folder, owner = config.stash.get(BED, ("", 0))
    if owner == os.getpid() and Path(folder).exists():
        end(Path(folder))


@pytest.fixture(scope="session")
def docker_engine(request: pytest.FixtureRequest) -> str:
    """The address of the engine. It has the image IMAGE."""
    folder, owner = request.config.stash[BED]
    try:
        return engine(Path(folder), owner)
    except Missing as missing:
        _without(str(missing))


def _without(why: str) -> NoReturn:
    if os.environ.get("AGENTHOST_TEST_DOCKER") == "required":
        pytest.fail(f"AGENTHOST_TEST_DOCKER=required, and {why}")
    pytest.skip(f"no Docker Engine for the tests: {why}")
