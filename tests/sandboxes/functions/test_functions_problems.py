"""The code interpreter's check against the real function: every verdict is right there, too."""

from pathlib import Path

import pytest

from agenthost.sandboxes.functions.client import Functions
from agenthost.testing.problems import ProblemsSuite
from tests.sandboxes.functions.conftest import client, harmless


@pytest.fixture(autouse=True)
def alone() -> None:
    """Some solutions signal to everybody whom they reach, or fork for ever."""
    if not harmless():
        pytest.skip("hostile solutions need a function with a pid namespace and a bound on its processes")


@pytest.fixture
def sandbox(function: str, workspaces: Path) -> Functions:
    """One run at a time, as an instance is deployed: what bounds one run's processes must not starve another."""
    return client(function, workspaces, concurrency=1)


class TestFunctions(ProblemsSuite):
    pass
