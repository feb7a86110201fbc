"""What hostile code tries, as one suite for every back end of the port `core.ports.Sandbox`.

Subclass `AttackSuite` in a test module and give the fixtures `sandbox` (ready to run, a new one for each
test) and `workspace` (an empty folder that it accepts, whose parent is a folder of workspaces). Each attack
says what would be seen if the defence were absent, and prints just that where it succeeds; none passes
because it crashed. What is special to one back end stays in that one's own tests.
"""

from pathlib import Path

from agenthost.core.ports import Sandbox
from agenthost.testing.attacks.common import attempt
from agenthost.testing.attacks.greed import Greed
from agenthost.testing.attacks.host import HostAttacks
from agenthost.testing.attacks.kernel import KernelAttacks
from agenthost.testing.attacks.leftovers import Leftovers
from agenthost.testing.attacks.network import NetworkAttacks
from agenthost.testing.attacks.writing import WriteAttacks


class AttackSuite(NetworkAttacks, HostAttacks, WriteAttacks, KernelAttacks, Greed, Leftovers):
    """Every attack, on one back end."""


class GvisorAttackSuite(AttackSuite):
    """Every attack, where gVisor is the kernel. `ENVIRONMENT`: the names that every run's environment has."""

    ENVIRONMENT: frozenset[str] = frozenset()

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
        assert await attempt(sandbox, workspace, code) == f"3 {sorted(self.ENVIRONMENT)}"
