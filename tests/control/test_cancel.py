"""A cancel at any point of every kind of run, many at once: no process, stream, child or tool is left."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.errors import Conflict
from agenthost.core.events import Finished
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.control.provider import Provider, provided
from tests.control.runs import KINDS, MANIFESTS, PLAYBOOK, Hold

PATIENCE = 120.0
"""Seconds after which a test that hangs fails; nothing is asserted on time."""

SETTINGS = """
[models]
default = "fake:m"
[models.providers.fake]
base-url = "URL"
labels = true
[models.providers.busy]
base-url = "URL"
labels = true
[tools]
hold = "tests.control.runs:hold"
look = "tests.control.runs:look"
"""


class Bed:
    """A host over the fake provider, and what is left outside."""

    def __init__(self, host: Host, provider: Provider, mark: str) -> None:
        self.host, self.provider, self.mark = host, provider, mark
        self.times: dict[str, list[float]] = {}

    def processes(self) -> list[str]:
        """Command lines that are ours, of whatever user and session."""
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if self.mark in line:
                    found.append(line)
        return found

    async def seen(self, task: str) -> int:
        return sum(row.seq for row in await self.host.tasks(Filter(root=task, limit=100)))

    async def stays(self, task: str) -> int:
        """Wait until a run is at the place where it would stay; after how many events."""
        before, quiet = -1, 0
        while quiet < 4:
            now = await self.seen(task)
            quiet = quiet + 1 if now == before else 0
            before = now
            await asyncio.sleep(0.1)
        return before

    async def cancelled(self, name: str, at: int) -> None:
        """Cancel a run after so many events of its tree, or where it stays, and follow it to its end."""
        row = await self.host.start(Order(name, "" if name in ("runs", "fans") else "go"))
        asked: list[float] = []

        async def cancel() -> None:
            if not asked:
                asked.append(time.perf_counter())
                await self.host.cancel(row.id)

        async def in_any_case() -> None:
            await self.stays(row.id)
            with suppress(Conflict):
                await cancel()

        count = 0
        async with asyncio.TaskGroup() as group:
            group.create_task(in_any_case())
            if at == 0:
                await cancel()
            async for item in self.host.follow(row.id):
                count += hasattr(item, "event")
                if count >= at:
                    await cancel()
                if item.task == row.id and isinstance(getattr(item, "event", None), Finished):
                    self.times.setdefault(name, []).append(time.perf_counter() - asked[0])
        assert (await self.host.task(row.id)).row.state == "canceled"

    async def left(self) -> dict[str, object]:
        """What is there that shouldn't be."""
        rows = await self.host.tasks(Filter(limit=1000))
        slots = self.host.engine.slots.counts()
        return {
            "unfinished": [row.id for row in rows if row.state not in FINAL],
            "working": self.host.engine.working(),
            "processes": self.processes(),
            "streams": self.provider.open,
            "tools": Hold.now,
            "slots": {key: taken for key, (taken, waiting, _) in slots.items() if taken or waiting},
            "questions": [row.id for row in rows if (await self.host.task(row.id)).questions],
        }


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncGenerator[Bed]:
    mark = f"9{os.getpid()}.{os.urandom(3).hex().translate(str.maketrans('abcdef', '123456'))}"
    playbook, home = tmp_path / "playbook.yaml", tmp_path / "home"
    playbook.write_text(PLAYBOOK.replace("MARK", mark))
    home.mkdir(mode=0o700)
    async with provided(playbook) as provider:
        (home / "agenthost.toml").write_text(SETTINGS.replace("URL", provider.url))
        host = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
        try:
            _, problems = await host.apply({"manifests.yaml": MANIFESTS.replace("MARK", mark)})
            assert not problems, problems
            yield Bed(host, provider, mark)
        finally:
            await host.close()


async def test_a_cancel_at_any_point_leaves_nothing(bed: Bed) -> None:
    async with asyncio.timeout(PATIENCE):
        points: list[tuple[str, int]] = []
        first = {name: await bed.host.start(Order(name, "" if name in ("runs", "fans") else "go")) for name in KINDS}
        for name, row in first.items():
            whole = await bed.stays(row.id)
            points += [(name, at) for at in sorted({0, *range(1, whole, 2), whole})]
        # What would stay is there, else this test shows nothing.
        assert bed.provider.open >= 4 and Hold.now >= 2 and len(bed.processes()) >= 6
        for row in first.values():
            await bed.host.cancel(row.id)
        async with asyncio.TaskGroup() as group:
            for name, at in points:
                group.create_task(bed.cancelled(name, at))
        while bed.host.engine.working() or bed.provider.open:
            await asyncio.sleep(0.01)  # connections are closed, and the provider sees it a moment later
        left = await bed.left()
        assert not any(left.values()), left
    measured = sorted(seconds for times in bed.times.values() for seconds in times)
    worst = {name: round(1000 * max(times)) for name, times in bed.times.items()}
    figures = {"cancels": len(measured), "p50 ms": round(1000 * measured[len(measured) // 2]), "worst ms": worst}
    print(json.dumps(figures))
