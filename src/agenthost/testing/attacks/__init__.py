"""What hostile code tries, as one suite for every back end of the port `core.ports.Sandbox`.

Subclass `AttackSuite` in a test module and give the fixtures `sandbox` (ready to run, a new one for each
test) and `workspace` (an empty folder that it accepts, whose parent is a folder of workspaces). Each attack
says what would be seen if the defence were absent, and prints just that where it succeeds; none passes
because it crashed. What is special to one back end stays in that one's own tests.
"""

from agenthost.testing.attacks.greed import Greed
from agenthost.testing.attacks.host import HostAttacks
from agenthost.testing.attacks.kernel import KernelAttacks
from agenthost.testing.attacks.leftovers import Leftovers
from agenthost.testing.attacks.network import NetworkAttacks
from agenthost.testing.attacks.writing import WriteAttacks


class AttackSuite(NetworkAttacks, HostAttacks, WriteAttacks, KernelAttacks, Greed, Leftovers):
    """Every attack, on one back end."""
