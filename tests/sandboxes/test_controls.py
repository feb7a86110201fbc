"""The sixteen controls hold in bubblewrap."""

import re

from agenthost.testing.controls import CONTROLS, ControlsSuite


class TestBubblewrap(ControlsSuite):
    pass


def test_there_are_sixteen() -> None:
    tests = [name for name in vars(ControlsSuite) if name.startswith("test_")]
    assert [int(re.findall(r"\d+", name)[0]) for name in tests] == list(range(1, 17))
    assert len(CONTROLS) == 16
