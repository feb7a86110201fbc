"""Cancels of runs in containers and gVisor's rooms: every one is gone, but for those that wait to be wanted."""

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from testbeds.docker import IMAGE

from agenthost.core.events import Asked
from agenthost.core.lifecycle import FINAL
from tests.control.bed import PATIENCE, Bed, made, sandbox_of, until
from tests.control.test_cancel import cancelled

KINDS = ("shells", "checked", "runs", "reaches")

Rooms = Callable[[], Awaitable[int]]


async def everywhere(bed: Bed, rooms: Rooms, there: Callable[[], object]) -> None:
    """Cancel runs of every kind before they have a room, while they get one, and while they are in it. `there` says when
    they are."""
    pool: Any = sandbox_of(bed.host)._pool
    await until(lambda: pool._warm)
    ready = await rooms()
    first = [await bed.host.start(bed.order(name)) for name in KINDS]
    await until(there)
    await until(lambda: bed.outside.connected)
    assert await rooms() > ready
    for row in first:
        await bed.host.cancel(row.id)
    async with asyncio.TaskGroup() as group:
        for name, row in zip(KINDS, first, strict=True):
            begins = next(each.seq for each in await bed.host.events_of(row.id) if isinstance(each.event, Asked))
            for at in (0, begins, begins + 1, 99):
                group.create_task(cancelled(bed, name, at))
    await bed.quiet()
    # Rooms are ended beside what goes on, and the next is made ready.
    await until(lambda: not pool._work and len(pool._warm) == 1)
    left = await bed.left() | {"held": pool._held, "fresh": pool._fresh, "rooms": await rooms() - ready}
    assert not any(left.values()), left
    assert all(row.state in FINAL for row in await bed.rows())
    print(json.dumps({name: [round(1000 * each) for each in sorted(times)] for name, times in bed.times.items()}))


async def test_no_container_of_docker_is_left(tmp_path: Path, docker_engine: str) -> None:
    toml = f'[sandbox.docker]\nhost = "{docker_engine}"\nimage = "{IMAGE}"\nwarm = 1\n'
    connector = aiohttp.UnixConnector(docker_engine.removeprefix("unix://"))
    async with (
        asyncio.timeout(PATIENCE),
        aiohttp.ClientSession(connector=connector) as http,
        made(tmp_path, more=toml, sandbox="docker") as bed,
    ):

        async def containers() -> int:
            made = sandbox_of(bed.host)._maker._engine._labels
            filters = json.dumps({"label": [f"{name}={value}" for name, value in made.items()]})
            async with http.get("http://e/containers/json", params={"all": "true", "filters": filters}) as answer:
                return len(await answer.json())

        await everywhere(bed, containers, lambda: len(bed.processes()) >= 4)


async def test_no_room_of_gvisor_is_left(tmp_path: Path) -> None:
    if shutil.which("runsc") is None:
        assert os.environ.get("AGENTHOST_TEST_GVISOR") != "required", "AGENTHOST_TEST_GVISOR=required, and no runsc"
        pytest.skip("runsc is not here; run: scripts/gvisor.sh")
    async with asyncio.timeout(PATIENCE), made(tmp_path, sandbox="gvisor") as bed:

        async def processes() -> int:
            """Of runsc, below this one."""
            return sum(b"runsc" in line for line in below(os.getpid()))

        pool: Any = sandbox_of(bed.host)._pool
        await everywhere(bed, processes, lambda: sum(held.users for held in pool._held.values()) >= 3)


def below(pid: int) -> list[bytes]:
    """The command lines of all processes below one."""
    parents: dict[int, int] = {}
    lines: dict[int, bytes] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(entry.name)] = (entry / "cmdline").read_bytes()
        except OSError:
            continue
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return [lines[each] for each in found - {pid}]
