"""Real processes of the outpost, ended with SIGKILL."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Outpost:
    """One process at a time: `start` it, `kill` it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._pid = 0
        self.kills = 0

    async def start(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._pid = int(await self._line())

    async def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        assert await self._line() == b"ended\n"
        self.kills += 1

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            return await self._process.stdout.readline()


@asynccontextmanager
async def outpost(home: Path, api: str, host: str, token: str) -> AsyncGenerator[Outpost]:
    """It serves while this is open, but for when it was killed."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "outpost.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.outposts.outpost", str(home), api, host, token),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    made = Outpost(process)
    try:
        await made.start()
        yield made
    finally:
        await made.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
