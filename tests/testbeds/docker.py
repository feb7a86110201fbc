"""A private Docker engine for the tests; see `engines`."""

import pytest

from testbeds.engines import IMAGE, Kind, needs

__all__ = ["DOCKER", "IMAGE", "docker_engine"]

DOCKER = Kind("docker", "Docker Engine", "DOCKER", lambda: needs(("dockerd",), "scripts/docker.sh"))


@pytest.fixture(scope="session")
def docker_engine(request: pytest.FixtureRequest) -> str:
    """The engine's address."""
    return DOCKER.of(request)
