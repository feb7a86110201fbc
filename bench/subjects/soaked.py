"""A sandbox that is used hard: a new workspace for each of many, in the middle of which things go wrong."""

import asyncio
import contextlib
import ctypes
import gc
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agenthost.core.errors import AgentHostError
from agenthost.core.ports import Connection, Sandbox
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy, SandboxRun
from bench.boxes import Engine, Place, box, opened
from bench.processes import NotMeasured

AT_MOST = 24
"""Sandboxes that are under way at once: more only wait."""

_FINE = """
import pathlib, subprocess, tempfile
pathlib.Path("made").mkdir()
for number in range(20): pathlib.Path(f"made/{number}").write_text("x" * 1000)
with tempfile.NamedTemporaryFile() as file: file.write(b"x" * 100_000)
print(subprocess.run(["sh", "-c", "echo fine"], capture_output=True, text=True, check=True).stdout, end="")
"""
_DAEMONS = """
import os, sys, time
for number in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            kept = open(f"/tmp/kept{number}", "w")
            while True: time.sleep(0.05)
        os._exit(0)
print("fine")
"""
_REACHES = """
import urllib.request
try: urllib.request.urlopen("http://another.invalid/", timeout=20)
except OSError: print("refused")
"""
_STUBBORN = "trap '' TERM INT HUP; (while :; do sleep 0.1; done) & while :; do sleep 0.1; done"
_GREEDY = "kept = []\nwhile True: kept.append(b'x' * 4_000_000)"
_TEST = "def test_it():\n    assert 1 + 1 == 2\n"


@dataclass
class Tally:
    """What came of the sandboxes so far."""

    done: int = 0
    wrong: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)


class Subject:
    """One back end under a steady load."""

    def __init__(self) -> None:
        self._folder = Path()
        self._over = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None
        self._sandbox: Sandbox | None = None
        self._workspaces = Path()
        self._number = 0

    async def open(self, urls: dict[int, str], folder: str) -> None:
        self._folder = Path(folder)
        # The loop's own threads begin when they are first needed: all of them now, so that none looks left behind.
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(64)))

    async def begin(self, name: str, home: str, engine: dict[str, Any] | None, why: str) -> dict[str, str]:
        """Open the back end. `why` it isn't here, where it isn't. After `end` it can be opened again."""
        self._over.clear()
        found = Engine(engine["address"], engine["image"], frozenset(engine["runtimes"])) if engine else None
        place = Place(self._folder, found or NotMeasured(why), home)
        self._workspaces = place.workspaces
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            try:
                async with opened(box(name), place) as self._sandbox:
                    ready.set_result("")
                    await self._over.wait()
            except (AgentHostError, NotMeasured, ImportError) as reason:
                if ready.done():
                    raise
                ready.set_result(str(reason))

        self._holder = asyncio.get_running_loop().create_task(hold())
        return {"missing": await ready}

    async def soak(self, seconds: float, a_minute: float) -> dict[str, Any]:
        """Begin so many sandboxes a minute for so long, a new workspace each, and let them end."""
        tally, free = Tally(), asyncio.Semaphore(AT_MOST)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            count = 0
            while (due := began + count * 60 / a_minute) < began + seconds:
                await asyncio.sleep(due - time.monotonic())
                await free.acquire()
                if time.monotonic() > began + seconds and count:
                    break
                count += 1
                group.create_task(self._one(tally, free))
        return {
            "sandboxes": tally.done,
            "seconds": time.monotonic() - began,
            "wrong": len(tally.wrong),
            "examples": tally.wrong[:5],
            "kinds": tally.kinds,
            "median_ms": sorted(tally.times)[len(tally.times) // 2] * 1000,
        }

    async def tidy(self) -> None:
        """Give back what Python merely keeps for later."""
        gc.collect()
        if hasattr(trim := ctypes.CDLL(None), "malloc_trim"):
            trim.malloc_trim(0)

    async def end(self) -> None:
        """Close the back end."""
        self._over.set()
        if self._holder is not None:
            await self._holder

    async def close(self) -> None:
        await self.end()

    async def run(self, latency: int, number: int) -> str:
        """Not for this one."""
        raise NotImplementedError

    async def _one(self, tally: Tally, free: asyncio.Semaphore) -> None:
        self._number += 1
        name, act = KINDS[self._number % len(KINDS)]
        workspace = self._workspaces / f"s{self._number}"
        assert self._sandbox is not None
        began = time.monotonic()
        try:
            await asyncio.to_thread(workspace.mkdir)
            try:
                said = await act(self._sandbox, workspace)
            finally:
                await self._sandbox.release(str(workspace))
                await asyncio.to_thread(shutil.rmtree, workspace)
        except (AgentHostError, OSError) as problem:
            said = f"{type(problem).__name__}: {problem}"
        finally:
            free.release()
        tally.times.append(time.monotonic() - began)
        tally.done += 1
        tally.kinds[name] = tally.kinds.get(name, 0) + 1
        if said:
            tally.wrong.append(f"{name}: {said}")


async def _run(sandbox: Sandbox, workspace: Path, *argv: str, **policy: Any) -> SandboxOutcome:
    return await sandbox.run(SandboxRun(argv, str(workspace), SandboxPolicy(**{"timeout": 60, **policy})))


async def _fine(sandbox: Sandbox, workspace: Path) -> str:
    done = await _run(sandbox, workspace, "python3", "-c", _FINE)
    files = await asyncio.to_thread(os.listdir, workspace / "made") if done.exit_code == 0 else []
    return "" if (done.stdout, len(files)) == (b"fine\n", 20) else repr(done)


async def _tested(sandbox: Sandbox, workspace: Path) -> str:
    await asyncio.to_thread((workspace / "test_it.py").write_text, _TEST)
    done = await _run(sandbox, workspace, "python3", "-m", "pytest", "-q")
    return "" if b"1 passed" in done.stdout else repr(done)


async def _daemons(sandbox: Sandbox, workspace: Path) -> str:
    done = await _run(sandbox, workspace, "python3", "-c", _DAEMONS)
    return "" if done.stdout == b"fine\n" else repr(done)


async def _timed_out(sandbox: Sandbox, workspace: Path) -> str:
    done = await _run(sandbox, workspace, "sh", "-c", _STUBBORN, timeout=0.5)
    return "" if done.limit == "time" else repr(done)


async def _greedy(sandbox: Sandbox, workspace: Path) -> str:
    done = await _run(sandbox, workspace, "python3", "-c", _GREEDY, memory=128 * MIB)
    return "" if done.limit == "memory" or b"MemoryError" in done.stderr else repr(done)


async def _cancelled(sandbox: Sandbox, workspace: Path) -> str:
    try:
        async with asyncio.timeout(0.4):
            return repr(await _run(sandbox, workspace, "sh", "-c", _STUBBORN))
    except TimeoutError:
        return ""


async def _served(sandbox: Sandbox, workspace: Path) -> str:
    await asyncio.to_thread((workspace / "index.html").write_text, "fine")
    run = SandboxRun(("python3", "-m", "http.server", "8000"), str(workspace), SandboxPolicy(timeout=60))
    service = await sandbox.spawn(run)
    try:
        for _ in range(400):
            with contextlib.suppress(ConnectionRefusedError):
                said = await _got(await service.connect(8000))
                return "" if b"fine" in said else repr(said)
            await asyncio.sleep(0.05)
        return "it never served"
    finally:
        await service.stop()


async def _got(connection: Connection) -> bytes:
    said = b""
    try:
        await connection.write(b"GET / HTTP/1.0\r\n\r\n")
        while piece := await connection.read():
            said += piece
    finally:
        await connection.close()
    return said


async def _granted(sandbox: Sandbox, workspace: Path) -> str:
    done = await _run(sandbox, workspace, "python3", "-c", _REACHES, hosts=("granted.invalid",))
    return "" if done.stdout == b"refused\n" else repr(done)


KINDS: tuple[tuple[str, Callable[[Sandbox, Path], Awaitable[str]]], ...] = (
    ("fine", _fine),
    ("timed out", _timed_out),
    ("fine", _fine),
    ("cancelled", _cancelled),
    ("daemons", _daemons),
    ("fine", _fine),
    ("out of memory", _greedy),
    ("tested", _tested),
    ("served", _served),
    ("daemons", _daemons),
    ("granted a host", _granted),
    ("cancelled", _cancelled),
)
"""In this order, again and again. Each says what was wrong, or nothing."""
