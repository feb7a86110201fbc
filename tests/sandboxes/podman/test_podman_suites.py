"""The sandbox `docker` passes the suites on Podman, whose runtime is crun."""

from agenthost.testing.attacks import AttackSuite
from agenthost.testing.controls import ControlsSuite
from agenthost.testing.problems import ProblemsSuite
from agenthost.testing.sandboxes import SandboxSuite


class TestConformance(SandboxSuite):
    pass


class TestAttacks(AttackSuite):
    pass


class TestControls(ControlsSuite):
    pass


class TestProblems(ProblemsSuite):
    pass
