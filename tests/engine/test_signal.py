"""A signal wakes all who wait, stays set until it is cleared, and forgets who stopped waiting."""

import asyncio

import pytest

from agenthost.engine.signal import Signal


async def test_all_who_wait_go_on() -> None:
    signal = Signal()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(signal.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        signal.set()
    assert signal.is_set()


async def test_set_before_is_not_waited_for_and_cleared_is() -> None:
    signal = Signal()
    signal.set()
    await signal.wait()
    signal.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await signal.wait()


async def test_one_who_stops_waiting_holds_up_nobody() -> None:
    signal = Signal()
    async with asyncio.TaskGroup() as group:
        leaving, staying = group.create_task(signal.wait()), group.create_task(signal.wait())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        signal.set()
    assert leaving.cancelled() and staying.done()
