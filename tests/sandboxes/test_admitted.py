"""Runs and services hold their part of the machine while they go on, and not a moment longer."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from agenthost.core.errors import Temporary, Unavailable
from agenthost.core.machines import MachineFacts, Need
from agenthost.core.ports import Sandbox, SandboxService, silent
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.machine.ledger import Ledger
from agenthost.sandboxes.admitted import Admitted

DONE = SandboxOutcome(0)


class Inner:
    """Runs end when they are let; a service when it is stopped."""

    def __init__(self) -> None:
        self.running = 0
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        if self.failure is not None:
            raise self.failure
        self.running += 1
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        return DONE

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        if self.failure is not None:
            raise self.failure
        return cast(SandboxService, Service())


class Service:
    async def wait(self) -> SandboxOutcome:
        await asyncio.sleep(3600)
        return DONE

    async def stop(self) -> SandboxOutcome:
        return DONE


def made(memory: int = 1000, cpu: float = 4) -> tuple[Inner, Ledger, Admitted]:
    inner, machine = Inner(), Ledger(MachineFacts(4.0, 2000 * MIB), Need(memory * MIB, cpu))
    return inner, machine, Admitted(cast(Sandbox, inner), machine, machine.whole)


def run(memory: int = 400, workspace: str = "/w/one", **more: Any) -> SandboxRun:
    return SandboxRun(("x",), workspace, SandboxPolicy(memory=memory * MIB, **more))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_run_than_fit_and_those_who_wait_bear_the_tasks_name() -> None:
    inner, machine, sandbox = made()
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(sandbox.run(run(workspace=f"/w/task{number}")))
        await settle()
        assert inner.running == 2
        assert [each.who for each in machine.waiting()] == ["task2", "task3", "task4"]
        inner.go.set()
    assert machine.holding() == []


async def test_a_run_that_fails_or_is_cancelled_holds_nothing() -> None:
    inner, machine, sandbox = made()
    inner.failure = Temporary("no", code="sandbox")
    for start in (sandbox.run, sandbox.spawn):
        with pytest.raises(Temporary):
            await start(run())
    inner.failure = None
    going = asyncio.get_running_loop().create_task(sandbox.run(run()))
    await settle()
    assert machine.holding()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert machine.holding() == []


async def test_more_memory_than_there_ever_is_is_refused_and_more_cores_make_it_slow() -> None:
    inner, machine, sandbox = made(cpu=2)
    with pytest.raises(Unavailable, match=r"\[machine\] memory"):
        await sandbox.run(run(1001))
    inner.go.set()
    assert await sandbox.run(run(cpu=64)) == DONE


async def test_services_wait_for_room_as_runs_do_and_stopping_twice_gives_it_back_once() -> None:
    _, machine, sandbox = made()
    first = await sandbox.spawn(run(600, "/w/a"))
    second = asyncio.get_running_loop().create_task(sandbox.spawn(run(600, "/w/b")))
    await settle()
    assert [each.who for each in machine.waiting()] == ["b"]
    await first.stop()
    await first.stop()
    service = await second
    assert [each.who for each in machine.holding()] == ["b"]
    await service.stop()
    assert machine.holding() == machine.waiting() == []


async def test_a_service_holds_until_it_has_ended_not_until_nobody_waits_for_it() -> None:
    _, machine, sandbox = made()
    service = await sandbox.spawn(run(900))
    waiting = asyncio.get_running_loop().create_task(service.wait())
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [each.need.memory for each in machine.holding()] == [900 * MIB]
    await service.stop()
    assert machine.holding() == []


async def test_a_service_whose_container_died_holds_nothing_any_more() -> None:
    _, machine, sandbox = made()
    service = await sandbox.spawn(run(900))

    async def died() -> SandboxOutcome:
        raise Temporary("the container ended", code="sandbox")

    service._inner.wait = died  # type: ignore[attr-defined]
    with pytest.raises(Temporary):
        await service.wait()
    assert machine.holding() == []


@pytest.mark.parametrize("times", [1, 3])
async def test_a_service_that_is_still_ending_keeps_its_part_when_stopping_it_is_cancelled(times: int) -> None:
    _, machine, sandbox = made()
    service = await sandbox.spawn(run(900))
    ended = asyncio.Event()

    async def stop() -> SandboxOutcome:
        await ended.wait()
        return DONE

    service._inner.stop = stop  # type: ignore[attr-defined]
    stopping = asyncio.get_running_loop().create_task(service.stop())
    for _ in range(times):
        await settle()
        stopping.cancel()
    await settle()
    assert [each.need.memory for each in machine.holding()] == [900 * MIB]
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert machine.holding() == []
