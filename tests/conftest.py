"""What every test stands on: nothing reaches the network, and options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crashes", type=int, default=12, help="how often the crash test kills the host")
