"""gVisor passes every suite for sandboxes."""

from pathlib import Path

import pytest
from pydantic_ai.workspaces import Workspace, WorkspaceBackend

from agenthost.core.ports import Sandbox
from agenthost.sandboxes.outer import ENVIRONMENT
from agenthost.testing.attacks import AttackSuite
from agenthost.testing.attacks.common import attempt
from agenthost.testing.controls import ControlsSuite
from agenthost.testing.problems import ProblemsSuite
from agenthost.testing.pydantic_suite import WorkspaceSuite
from agenthost.testing.pydantic_workspaces import SandboxWorkspace
from agenthost.testing.sandboxes import SandboxSuite


class TestConformance(SandboxSuite):
    pass


class TestAttacks(AttackSuite):
    async def test_the_guards_memory_and_files_are_out_of_reach(self, sandbox: Sandbox, workspace: Path) -> None:
        """gVisor shows the addresses, the environment and the descriptors of a process that acts as the reader's
        user: an environment that every run has, addresses that say nothing of a kernel, and pipes of its own. The
        memory, the root, the working folder and the streams to the host stay shut."""
        code = """
import os
def stream(n):
    try: return os.readlink('/proc/1/fd/' + n).startswith('host:')
    except OSError: return False  # closed meanwhile
streams = [n for n in os.listdir('/proc/1/fd') if stream(n)]
for name in ('mem', 'root/etc/passwd', 'cwd/etc/passwd', *('fd/' + n for n in streams)):
    for mode in (os.O_RDONLY, os.O_WRONLY):
        try: os.open('/proc/1/' + name, mode | os.O_NONBLOCK); print('open', name)
        except OSError: pass
print(len(streams), sorted(word.split('=')[0] for word in open('/proc/1/environ').read().split(chr(0)) if word))
"""
        assert await attempt(sandbox, workspace, code) == f"3 {sorted(ENVIRONMENT)}"


class TestControls(ControlsSuite):
    pass


class TestProblems(ProblemsSuite):
    pass


class TestWorkspaces(WorkspaceSuite):
    @pytest.fixture
    def filesystem_honors_shell_permissions(self) -> bool:
        """Between two commands a file is on the host, which keeps contents and not who may read them."""
        return False

    async def test_symlink_loop_does_not_break_listing(  # type: ignore[override] - pytest fills in by name
        self, backend: WorkspaceBackend
    ) -> None:
        """Links are removed when a command has ended, as the host keeps none; so the next finds no loop."""
        assert isinstance(backend, SandboxWorkspace)
        made = await backend.run(["sh", "-c", "ln -s loop loop && ls"])
        assert (made.exit_code, made.stdout) == (0, "loop\n")
        assert list(await Workspace(backend).list_dir("/workspace")) == []
