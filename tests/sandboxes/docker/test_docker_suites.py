"""Docker passes every suite for sandboxes."""

from agenthost.testing.attacks import AttackSuite
from agenthost.testing.controls import ControlsSuite
from agenthost.testing.problems import ProblemsSuite
from agenthost.testing.pydantic_suite import CopiedWorkspaceSuite
from agenthost.testing.sandboxes import SandboxSuite


class TestConformance(SandboxSuite):
    pass


class TestAttacks(AttackSuite):
    pass


class TestControls(ControlsSuite):
    pass


class TestProblems(ProblemsSuite):
    pass


class TestWorkspaces(CopiedWorkspaceSuite):
    pass
