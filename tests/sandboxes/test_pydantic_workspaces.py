"""pydantic-ai's own suite for workspaces, on bubblewrap."""

from agenthost.testing.pydantic_suite import WorkspaceSuite


class TestBubblewrap(WorkspaceSuite):
    pass
