import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agenthost.cli.screen import Screen
from agenthost.cli.verbs import VERBS
from agenthost.core.api import HostApi
from tests.cli.fakes import FakeDoor

Run = Callable[..., Awaitable[int]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a verb against a host: `await run(host, "tasks", "list")`; what it prints is in capsys."""
    monkeypatch.setenv("COLUMNS", "100")

    async def runs(host: HostApi, verb: str, *words: str, own: bool = True) -> int:
        module = importlib.import_module(f"agenthost.cli.{VERBS[verb][0]}")
        args = module.parser(verb).parse_args(words)
        args.verb, args.json = verb, getattr(args, "json", False)
        return await module.run(args, FakeDoor(host, tmp_path, own), Screen(args.json))

    return runs
