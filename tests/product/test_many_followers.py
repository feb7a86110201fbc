"""A thousand followers of a hundred running tasks, and a host that is killed twice: every event once, in order."""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from contextlib import aclosing
from typing import Any, cast

import pytest

from agenthost.client.client import Client
from agenthost.client.transport import Address, Timing
from agenthost.core.api import Order
from agenthost.core.events import Finished, Recorded
from agenthost.core.ports import Filter
from tests.product.product import Product

TASKS, FOLLOWERS_OF_EACH = 100, 10
AGENTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: quick}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: line}
spec:
  roles: {worker: {agent: quick, replicas: 100}}
  steps:
    - {id: first, role: worker, prompt: "first"}
    - {id: second, role: worker, prompt: "second {{ steps.first.text }}"}
    - {id: third, role: worker, prompt: "third {{ steps.second.text }}"}
"""
PLAYS = 'rules:\n  - reply: {text: "You said {{said}}", delay: 1.5, pause: 0.05}\n'


class Killed:
    """A host in a process of its own that is killed and started again on one port."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._stack: list[Any] = []
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        running = self._product.running("up", "--quiet", "--json", "--port", str(self.port))
        self.process = running.__enter__()
        self._stack.append(running)
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["url"].rpartition(":")[2])

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        for running in reversed(self._stack):
            running.__exit__(None, None, None)


async def followed(client: Client, task: str, found: list[Recorded]) -> None:
    async with aclosing(cast("Any", client.follow(task))) as items:
        async for item in items:
            found += [item] if isinstance(item, Recorded) else []


@pytest.mark.slow
async def test_a_thousand_followers_miss_nothing_and_see_nothing_twice_when_the_host_is_killed_twice(
    product: Product,
) -> None:
    product.plays.write_text(PLAYS)
    product.write("home/manifests/agents.yaml", AGENTS)
    host = Killed(product)
    try:
        await asyncio.to_thread(host.start)
        token = (product.home / "token").read_text().strip()
        address = Address(url=f"http://127.0.0.1:{host.port}", token=token)
        async with Client(address, Timing(absent=120.0)) as client, asyncio.timeout(240):
            rows = [await client.start(Order("line", f"work {n}")) for n in range(TASKS)]
            seen: dict[tuple[str, int], list[Recorded]] = {
                (row.id, n): [] for row in rows for n in range(FOLLOWERS_OF_EACH)
            }
            async with asyncio.TaskGroup() as group:
                for (task, _), found in seen.items():
                    group.create_task(followed(client, task, found))
                for share in (0.25, 0.6):
                    await half_way(seen, share)
                    await asyncio.to_thread(host.kill)
                    await asyncio.to_thread(host.start)
            states = Counter(row.state for row in await client.tasks(Filter(roots_only=True, limit=1000)))
            assert states == {"completed": TASKS}
            for row in rows:
                await whole(client, row.id, [seen[row.id, n] for n in range(FOLLOWERS_OF_EACH)])
    finally:
        await asyncio.to_thread(host.end)


async def half_way(seen: dict[tuple[str, int], list[Recorded]], share: float) -> None:
    """Until so much has been seen that tasks are in the middle of their work."""
    wanted = share * 30 * len(seen)
    while sum(map(len, seen.values())) < wanted:
        await asyncio.sleep(0.05)


async def whole(client: Client, task: str, followers: list[list[Recorded]]) -> None:
    """Every follower saw the tree's journals, each event once and in order, to the end."""
    detail = await client.task(task)
    journals = {id: await client.events(id) for id in (task, *(child.id for child in detail.children))}
    assert len(journals) == 4
    for found in followers:
        for id, journal in journals.items():
            assert [item for item in found if item.task == id] == journal
        assert len(found) == sum(map(len, journals.values()))
        assert isinstance(found[-1].event, Finished) and found[-1].task == task
