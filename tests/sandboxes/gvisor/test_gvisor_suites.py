"""gVisor passes every suite for sandboxes."""

from agenthost.sandboxes.outer import ENVIRONMENT
from agenthost.testing.attacks import GvisorAttackSuite
from agenthost.testing.controls import ControlsSuite
from agenthost.testing.problems import ProblemsSuite
from agenthost.testing.pydantic_suite import CopiedWorkspaceSuite
from agenthost.testing.sandboxes import SandboxSuite


class TestConformance(SandboxSuite):
    pass


class TestAttacks(GvisorAttackSuite):
    ENVIRONMENT = frozenset(ENVIRONMENT)


class TestControls(ControlsSuite):
    pass


class TestProblems(ProblemsSuite):
    pass


class TestWorkspaces(CopiedWorkspaceSuite):
    pass
