"""A cancel at any point of every kind of run, many at once: no process, stream, child or tool is left."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agenthost.core.events import Finished
from tests.control.bed import PATIENCE, Bed, made, until
from tests.control.runs import KINDS, Hold


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncGenerator[Bed]:
    async with made(tmp_path) as bed:
        yield bed


async def cancelled(bed: Bed, name: str, at: int) -> None:
    """Cancel a run after so many events of its tree, or where it stays, and follow it to its end."""
    row = await bed.host.start(bed.order(name))
    asked: list[float] = []

    async def cancel() -> None:
        if not asked:
            asked.append(time.perf_counter())
            await bed.cancel(row.id)

    async def in_any_case() -> None:
        await bed.stays(row.id)
        await cancel()

    count = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(in_any_case())
        if at == 0:
            await cancel()
        async for item in bed.host.follow(row.id):
            count += hasattr(item, "event")
            if count >= at:
                await cancel()
            if item.task == row.id and isinstance(getattr(item, "event", None), Finished):
                bed.times.setdefault(name, []).append(time.perf_counter() - asked[0])
    assert (await bed.host.task(row.id)).row.state == "canceled"


async def test_a_cancel_at_any_point_leaves_nothing(bed: Bed) -> None:
    async with asyncio.timeout(PATIENCE):
        points: list[tuple[str, int]] = []
        first = {name: await bed.host.start(bed.order(name)) for name in KINDS if name != "crowded"}
        # What would stay is there, else this test shows nothing.
        await until(lambda: bed.provider.open >= 4 and Hold.now >= 2 and len(bed.processes()) >= 6)
        await until(lambda: len(bed.provider.made_on) == 2 and bed.outside.connected)
        first["crowded"] = await bed.host.start(bed.order("crowded"))
        await until(bed.host._adapters.machine.waiting)
        for name, row in first.items():
            whole = await bed.stays(row.id)
            points += [(name, at) for at in sorted({0, *range(1, whole, 2), whole})]
        for row in first.values():
            await bed.host.cancel(row.id)
        async with asyncio.TaskGroup() as group:
            for name, at in points:
                group.create_task(cancelled(bed, name, at))
        await bed.quiet()
        left = await bed.left()
        assert not any(left.values()), left
    measured = sorted(seconds for times in bed.times.values() for seconds in times)
    worst = {name: round(1000 * max(times)) for name, times in bed.times.items()}
    figures = {"cancels": len(measured), "p50 ms": round(1000 * measured[len(measured) // 2]), "worst ms": worst}
    print(json.dumps(figures))
