import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import up
from agenthost.cli.connect import Reached
from agenthost.cli.screen import Screen
from agenthost.core.errors import StoreDamaged
from tests.cli.fakes import FakeDoor, FakeHost
from tests.cli.recorded import sketch_to_code


class Growing(FakeHost):
    """A host where a task begins after `up` did."""

    def __init__(self) -> None:
        super().__init__(sketch_to_code())
        self.looks = 0

    async def tasks(self, wanted: Any) -> list[Any]:
        self.looks += 1
        return [] if self.looks == 1 else await super().tasks(wanted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_up_tells_what_tasks_do_and_stops_when_told(run: Any, capsys: Any, number: int) -> None:
    host = Growing()

    async def stop() -> None:
        while host.looks < 3:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), number)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(host, "up"))
        group.create_task(stop())
    assert running.result() == 0
    out = capsys.readouterr().out
    assert "AgentHost 0.1.0 is up" in out
    assert "goes back to coder" in out
    assert "unfinished tasks go on with the next start" in out


async def test_tasks_that_had_ended_before_are_not_told_again(run: Any, capsys: Any) -> None:
    host = FakeHost(sketch_to_code())

    async def stop() -> None:
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(host, "up", "--json"))
        group.create_task(stop())
    assert running.result() == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["up"]


class Unready(FakeDoor):
    """A door to a host that can't go on with its tasks."""

    @asynccontextmanager
    async def serve(self, host: str | None = None, port: int | None = None) -> AsyncGenerator[Reached]:
        async def fails() -> None:
            raise StoreDamaged("the database is damaged")

        yield Reached(self.api, True, recovered=fails)


async def test_a_host_that_cannot_go_on_with_its_tasks_ends_and_says_why(tmp_path: Path) -> None:
    args = up.parser("up").parse_args(["--quiet"])
    args.json = False
    with pytest.raises(StoreDamaged, match="the database is damaged"):
        await up.run(args, Unready(FakeHost(sketch_to_code()), tmp_path), Screen())
