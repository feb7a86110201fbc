"""Private Podmans for the tests, one of root and one of an ordinary user; see `engines`.

They are asked for: AGENTHOST_TEST_PODMAN=required. The suites take a minute or two beside all the others.
"""

import os

import pytest

from testbeds.engines import Kind, needs

VARIABLE = "PODMAN"


def asked(*commands: str) -> str:
    """What is missing of a Podman, or that nobody wants its tests."""
    if os.environ.get(f"AGENTHOST_TEST_{VARIABLE}") != "required":
        return f"its tests run with AGENTHOST_TEST_{VARIABLE}=required"
    return needs(commands, "scripts/podman.sh")


PODMAN = Kind("podman", "Podman", VARIABLE, lambda: asked("podman", "conmon", "crun"))
ROOTLESS = Kind(
    "rootless", "Podman of an ordinary user", VARIABLE, lambda: asked("podman", "conmon", "crun", "newuidmap")
)


@pytest.fixture(scope="session")
def podman_engine(request: pytest.FixtureRequest) -> str:
    """The address of root's Podman."""
    return PODMAN.of(request)


@pytest.fixture(scope="session")
def rootless_engine(request: pytest.FixtureRequest) -> str:
    """The address of an ordinary user's Podman."""
    return ROOTLESS.of(request)
