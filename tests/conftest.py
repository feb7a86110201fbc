"""What every test stands on: nothing reaches the network, nothing blocks the event loop, and options of the whole suite."""

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

pytest_plugins = ["testbeds.replayed", "testbeds.engines", "testbeds.docker", "testbeds.podman"]

# How long an example takes on a busy machine says nothing about what it shows.
settings.register_profile("agenthost", deadline=None)
settings.load_profile("agenthost")

WATCHED = [
    "agenthost." + name
    for name in ("client", "engine", "faces", "host", "models", "outposts", "scripts", "stores", "tools")
]
"""What must never block the loop of a host. The command line is not among it: it serves one person, in a process of its own."""

MAY_BLOCK: tuple[tuple[str, set[str]], ...] = (
    # An adapter is loaded when it is first named, once in a process.
    ("<frozen importlib._bootstrap>", {"_find_and_load"}),
    # Before anything runs: the settings, and the statements of the store.
    ("agenthost/host/settings.py", {"_read"}),
    ("agenthost/stores/sqlite/statements.py", {"load"}),
    # A host takes its home before it serves anybody: a folder and a lock file.
    ("agenthost/stores/home.py", {"make_home", "acquire"}),
    # A scripted model's replies are a small file of ours, read once.
    ("agenthost/models/playbook.py", {"load_playbook"}),
    # The table of model cards: a small file, read once, before a model is named for the first time.
    ("agenthost/models/cards.py", {"load_cards"}),
    # What the log shows of a fault: the lines of the source.
    ("structlog/dev.py", {"__call__"}),
    # One name looked at or removed, when a host or a client begins or ends.
    ("agenthost/wire/sockets.py", {"remove", "short_path"}),
)
"""What may block for a moment all the same, by file and function, each for a reason."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crashes", type=int, default=12, help="how often the crash test kills the host")


@pytest.fixture(autouse=True)
def blocking() -> Iterator[BlockBuster]:
    """A call of the product that blocks the event loop fails the test that makes it."""
    with blockbuster_ctx(scanned_modules=WATCHED) as guard:
        for called in guard.functions.values():
            for file, functions in MAY_BLOCK:
                called.can_block_in(file, functions)
        yield guard


class Outside(AssertionError):
    """A test wanted to reach another machine."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reach nothing but this machine: no other address is connected to, no name is looked up elsewhere."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked(here: socket.socket, address: Any) -> Any:
        if here.family in (socket.AF_INET, socket.AF_INET6):
            _check(str(address[0]))
        return connect(here, address)

    def checked_ex(here: socket.socket, address: Any) -> int:
        if here.family in (socket.AF_INET, socket.AF_INET6):
            _check(str(address[0]))
        return connect_ex(here, address)

    def looked_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check(host.decode() if isinstance(host, bytes) else str(host or "localhost"))
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", checked)
    monkeypatch.setattr(socket.socket, "connect_ex", checked_ex)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)


def _check(host: str) -> None:
    if host in ("localhost", ""):
        return
    if host.endswith(".invalid"):  # RFC 6761: a name that is never there
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    try:
        inside = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise Outside(f"a test wanted to reach {host}; tests reach nothing but this machine")
