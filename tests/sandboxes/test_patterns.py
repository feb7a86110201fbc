"""A manifest's regular expression is searched for, and can't hold up the host."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from agenthost.core.commands import Probe
from agenthost.core.ports import Connection, Sandbox, SandboxService, silent
from agenthost.core.sandboxes import SandboxOutcome, SandboxRun
from agenthost.sandboxes.patterns import Endless, found
from agenthost.sandboxes.probes import HttpProber

ENDLESS, BODY = "^(a+)+$", b"a" * 5000 + b"!"


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.mark.parametrize(
    ("pattern", "body", "is_there"),
    [
        ("h.*o", b"<h1>hello</h1>", True),
        ("(?<=x)y(?!z)", b"xyz xy", True),  # all of Python's own syntax
        ("^b$", b"a\nb\nc", False),
        ("\u00e9", "caf\u00e9".encode(), True),
        ("\ufffd", b"\xff", True),
        ("x{3}$", b"x" * 262144, True),
        ("y", b"x" * 262144, False),
        ("", b"", True),
    ],
)
async def test_what_is_there_is_found(pattern: str, body: bytes, is_there: bool) -> None:
    assert await found(pattern, body) is is_there


async def test_a_search_without_end_ends_and_the_loop_goes_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.sandboxes.patterns.SECONDS", 1)
    before = children()
    searching = asyncio.get_running_loop().create_task(found(ENDLESS, BODY))
    turns = 0
    while not searching.done():
        await asyncio.sleep(0.01)
        turns += 1
    with pytest.raises(Endless, match="without repetitions within repetitions"):
        await searching
    assert turns > 3
    assert children() == before


async def test_a_search_that_nobody_waits_for_any_more_is_ended() -> None:
    before = children()
    searching = asyncio.get_running_loop().create_task(found(ENDLESS, BODY))
    while children() == before:
        await asyncio.sleep(0.01)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    assert children() == before


class Served:
    """A service that answers each connection with the same page, and the sandbox that it is in."""

    def __init__(self) -> None:
        self.answer = b""
        self.asked = 0

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        return cast(SandboxService, self)

    async def connect(self, port: int) -> Connection:
        self.asked += 1
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
        return cast(Connection, self)

    async def write(self, data: bytes) -> None: ...

    async def read(self, most: int = 65536) -> bytes:
        said, self.answer = self.answer, b""
        return said

    async def close(self) -> None: ...

    async def wait(self) -> SandboxOutcome:
        await asyncio.Event().wait()
        return SandboxOutcome(0)

    async def stop(self) -> SandboxOutcome:
        return SandboxOutcome(137)


async def test_a_probe_with_such_a_pattern_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.sandboxes.patterns.SECONDS", 1)
    served = Served()
    probe = Probe(8000, body=ENDLESS, within=20)
    outcome = await HttpProber(cast(Sandbox, served)).probe(SandboxRun(("x",), "/w"), probe)
    assert outcome.exit_code == 1
    assert b"came to no end in 1 s of computing" in outcome.stderr
    assert b"200 OK" in outcome.stdout
    assert served.asked == 1


async def test_a_body_that_is_as_it_was_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    served, searched = Served(), list[bytes]()

    async def search(pattern: str, body: bytes) -> bool:
        searched.append(body)
        return False

    monkeypatch.setattr("agenthost.sandboxes.probes.found", search)
    probe = Probe(8000, body="b", within=0.5)
    outcome = await HttpProber(cast(Sandbox, served)).probe(SandboxRun(("x",), "/w"), probe)
    assert outcome.exit_code == 1 and served.asked > 1
    assert searched == [BODY]
