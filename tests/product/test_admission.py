"""No more runs at once than fit into the machine: seen from inside the runs, and by those who wait."""

import asyncio
import json
from pathlib import Path

import pytest

from agenthost.core.api import LiveDelta, Order
from agenthost.core.events import Answered, Finished, RunResult
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

MIB = 1024 * 1024
TASKS = 40

RUNS = """
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: quarter}
spec:
  description: Runs a command that says when it began and ended.
  sandbox: {memory: 100Mi, timeout: 60s}
  steps:
    - {id: run, command: "python -c 'import time; a = time.monotonic(); time.sleep(0.15); print([a, time.monotonic()])'"}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: stays}
spec:
  description: Takes a quarter for a while.
  sandbox: {memory: 100Mi, timeout: 120s}
  steps: [{id: run, command: "touch begun; sleep 100"}]
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: too-large}
spec:
  description: Wants more than there is.
  sandbox: {memory: 401Mi}
  steps: [{id: run, command: "true"}]
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: long}
spec:
  description: Takes all of it for a while.
  sandbox: {memory: 400Mi, timeout: 120s}
  steps: [{id: run, command: "touch begun; sleep 100"}]
"""


@pytest.fixture
async def host(tmp_path: Path):
    (tmp_path / "agenthost.toml").write_text('[machine]\nmemory = "400Mi"\ncpu = 64\n')
    opened = await open_host(load(tmp_path, {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
    if not (await opened._adapters.sandbox.available()).available:
        await opened.close()
        pytest.skip("no sandbox here")
    done, problems = await opened.apply({"m.yaml": RUNS})
    assert done and not problems
    yield opened
    await opened.close()


async def ran(host: Host, task: str) -> tuple[RunResult | None, list[str], str]:
    """What a task's run gave, what was told while it waited, and how the task ended."""
    result, notices, outcome = None, [], ""
    async for item in host.follow(task):
        if isinstance(item, LiveDelta):
            notices.append(item.delta.notice)
        elif isinstance(item.event, Answered) and isinstance(item.event.answer, RunResult):
            result = item.event.answer
        elif isinstance(item.event, Finished):
            outcome = item.event.verdict.outcome
    return result, notices, outcome


async def test_forty_tasks_of_a_quarter_each_never_run_more_than_four_at_a_time_and_all_end(host: Host) -> None:
    rows = [await host.start(Order("quarter", title=str(number))) for number in range(TASKS)]
    ended = await asyncio.gather(*(ran(host, row.id) for row in rows))

    assert [outcome for _, _, outcome in ended] == ["done"] * TASKS
    spans = [json.loads(result.stdout) for result, _, _ in ended if result is not None]
    assert len(spans) == TASKS
    # CLOCK_MONOTONIC is one clock for all namespaces that don't shift it.
    most = max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)
    assert most <= 4
    told = [notice for _, notices, _ in ended for notice in notices]
    assert any(notice.startswith("waits for 100 MiB of memory and 1 core (") for notice in told)
    assert (await host.info()).waiting == ()


async def test_four_quarters_run_at_once_and_the_fifth_waits(host: Host) -> None:
    rows = [await host.start(Order("stays", title=str(number))) for number in range(5)]
    begun = [host.settings.folder / "workspaces" / row.id / "begun" for row in rows]

    def has_begun() -> int:
        return sum(each.exists() for each in begun)

    async with asyncio.timeout(100):
        while not (await host.info()).waiting or await asyncio.to_thread(has_begun) < 4:
            await asyncio.sleep(0.01)
        assert (len((await host.info()).waiting), await asyncio.to_thread(has_begun)) == (1, 4)
        for row in rows:
            await host.cancel(row.id)
        for row in rows:
            await ran(host, row.id)


async def test_those_who_wait_are_seen_and_a_cancel_takes_them_out(host: Host) -> None:
    long = await host.start(Order("long"))
    begun = host.settings.folder / "workspaces" / long.id / "begun"
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(begun.exists):
            await asyncio.sleep(0.01)
        waiting = [await host.start(Order("quarter", title=str(number))) for number in range(3)]
        while len((await host.info()).waiting) < 3:
            await asyncio.sleep(0.01)
        info = await host.info()
        assert info.machine is not None and info.machine.memory > 0
        assert {each.who for each in info.waiting} == {row.id for row in waiting}
        assert {each.need.memory for each in info.waiting} == {100 * MIB}
        assert [finding.seen for finding in await host.doctor() if finding.what == "waiting"]

        await host.cancel(waiting[1].id)
        await ran(host, waiting[1].id)
        assert {each.who for each in (await host.info()).waiting} == {waiting[0].id, waiting[2].id}
        await host.cancel(long.id)
        assert [(await ran(host, row.id))[2] for row in (waiting[0], waiting[2])] == ["done", "done"]
    assert (await host.info()).waiting == ()
    assert {row.state for row in await host.tasks(Filter())} == {"completed", "canceled"}


async def test_what_can_never_fit_fails_with_the_figures_and_the_setting(host: Host) -> None:
    row = await host.start(Order("too-large"))
    assert (await ran(host, row.id))[2] != "done"
    failures = [item.event.failure for item in await host.events(row.id) if isinstance(item.event, Answered)]
    (failure,) = [each for each in failures if each is not None]
    assert failure.code == "unavailable"
    assert "401 MiB" in failure.message and "400 MiB" in failure.message and "[machine] memory" in failure.message
