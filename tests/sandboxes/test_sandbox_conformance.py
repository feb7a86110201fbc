"""Bubblewrap passes the suite of its port."""

from agenthost.testing.sandboxes import SandboxSuite


class TestBubblewrap(SandboxSuite):
    pass
