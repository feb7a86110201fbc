"""Docker with gVisor's runtime passes the suites of attacks, controls and problems, and is what it says."""

import os
from pathlib import Path

import pytest

from agenthost.sandboxes.attached.room import ENVIRONMENT
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.testing.attacks import GvisorAttackSuite
from agenthost.testing.controls import ControlsSuite
from agenthost.testing.problems import ProblemsSuite
from agenthost.testing.sandboxes import shell


@pytest.fixture
def runtime() -> str:
    return "runsc"


class TestAttacks(GvisorAttackSuite):
    ENVIRONMENT = frozenset(ENVIRONMENT) | {"PATH"}


class TestControls(ControlsSuite):
    pass


class TestProblems(ProblemsSuite):
    pass


async def test_it_is_a_kernel_of_its_own(sandbox: Docker, workspace: Path) -> None:
    assert sandbox.isolation == "kernel"
    said = await shell(
        sandbox, workspace, "uname -r; touch made; stat -c %u made; grep ' /workspace ' /proc/self/mountinfo"
    )
    release, owner, mount = said.stdout.decode().splitlines()
    assert release != os.uname().release
    assert owner == "60321"
    assert "nosuid" not in mount  # gVisor shows no such flag; it has no set-id programs under no_new_privs
    assert " tmpfs " in mount
