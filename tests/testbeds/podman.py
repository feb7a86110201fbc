"""Private Podmans for the tests, one of root and one of an ordinary user; see `engines`."""

import pytest

from testbeds.engines import Kind, needs

PODMAN = Kind("podman", "Podman", "PODMAN", lambda: needs(("podman", "conmon", "crun"), "scripts/podman.sh"))
ROOTLESS = Kind(
    "rootless",
    "Podman of an ordinary user",
    "PODMAN",
    lambda: needs(("podman", "conmon", "crun", "newuidmap"), "scripts/podman.sh"),
)


@pytest.fixture(scope="session")
def podman_engine(request: pytest.FixtureRequest) -> str:
    """The address of root's Podman."""
    return PODMAN.of(request)


@pytest.fixture(scope="session")
def rootless_engine(request: pytest.FixtureRequest) -> str:
    """The address of an ordinary user's Podman."""
    return ROOTLESS.of(request)
