"""Back ends that need something installed: whether they are here, and that their absence is no silence."""

import os

import pytest

from agenthost.core.sandboxes import Availability


def skip(name: str, said: Availability) -> None:
    """Skip with the reason; fail where the environment says that this back end has to be here
    (`AGENTHOST_TEST_GVISOR=required`)."""
    reason = f"no sandbox {name} here: {said.detail}; {said.fix}"
    assert os.environ.get(f"AGENTHOST_TEST_{name.upper()}") != "required", reason
    pytest.skip(reason)
