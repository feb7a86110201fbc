"""A back-up of a host at work: whole, as of one moment, and a host that goes on from it elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.client.client import Client, connect
from agenthost.core.api import Order
from agenthost.core.errors import HostUnreachable
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.host import records
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.product.product import Product

PLAYS = """
name: load
rules:
  - when: {agent: writer, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: note.txt, content: "{{said}}"}}], delay: 0.02}
  - when: {agent: writer, turn: 1}
    reply: {calls: [{tool: read_file, arguments: {path: note.txt}}], delay: 0.02}
  - reply: {text: "kept", delay: 0.02}
"""
MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {tools: [workspace]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: pair}
spec:
  roles: {one: {agent: writer, replicas: 50}}
  steps:
    - {id: left, role: one, prompt: "left {{ task.text }}"}
    - {id: right, role: one, needs: [left], prompt: "right {{ task.text }}"}
"""
BIG = "x" * 20_000
"""More than an event's body may have: it is put aside as a blob."""
AT_ONCE = 40


@pytest.fixture
def busy(product: Product) -> Product:
    product.plays.write_text(PLAYS)
    (product.home / "manifests").mkdir(parents=True)
    (product.home / "manifests" / "all.yaml").write_text(MANIFESTS)
    product.run("secrets", "set", "SOME_KEY", stdin=b"very-secret-value")
    return product


async def reached(product: Product) -> Client:
    client = connect(product.home, {})
    for _ in range(600):
        try:
            await client.info()
            return client
        except HostUnreachable:
            await asyncio.sleep(0.1)
    raise AssertionError("the host doesn't come up")


async def feed(client: Client, number: int) -> None:
    """Runs of a workflow, one after another, each with a file of its own."""
    for turn in range(10_000):
        row = await client.start(Order("pair", f"{number}-{turn} {BIG}"))
        async for _ in client.follow(row.id):
            pass


async def command(product: Product, *words: str) -> Any:
    done = await asyncio.to_thread(product.run, *words)
    assert done.code == 0, done
    return done


async def pages(host: Host) -> AsyncIterator[TaskRow]:
    before = ""
    while rows := await host.tasks(Filter(limit=500, before=before)):
        for row in rows:
            yield row
        before = rows[-1].id


def elsewhere(home: Path, product: Product) -> Any:
    return load(home, {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{product.plays}"})


async def test_a_backup_of_a_host_at_work_is_one_moment_and_its_tasks_go_on_elsewhere(
    busy: Product, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    with busy.running("up", "--quiet"):
        async with await reached(busy) as client, asyncio.TaskGroup() as group:
            load = [group.create_task(feed(client, number)) for number in range(AT_ONCE)]
            while len(await client.tasks(Filter(limit=200))) < 200:
                await asyncio.sleep(0.1)
            made = msgspec.json.decode((await command(busy, "backup", "create", str(folder), "--json")).out)["made"]
            after = len(await client.tasks(Filter(limit=1000)))
            for one in load:
                one.cancel()
    assert made["head"]["unfinished"] >= AT_ONCE
    assert after > 0 and "missing" not in made
    [file] = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await command(busy, "backup", "verify", str(file))).code == 0

    other = tmp_path / "elsewhere"
    await command(busy, "--home", str(other), "backup", "restore", str(file))
    host = await open_host(elsewhere(other, busy))
    try:
        rows = [row async for row in pages(host)]
        assert len(rows) == made["head"]["tasks"]
        for row in rows:
            assert records.gap(row, await host.events_of(row.id)) is None
    finally:
        await host.close()
    host = await open_host(elsewhere(other, busy), work=True)
    try:
        for row in rows:
            if not row.parent:
                async for _ in host.follow(row.id):
                    pass
        ended = [row async for row in pages(host)]
        assert {row.state for row in ended} == {"completed"}
        assert {row.id for row in rows} <= {row.id for row in ended}
        some = [row for row in rows if not row.parent and row.state not in FINAL][:5]
        for row in some:
            assert all(report.agrees for report in await host.replay(row.id))
            for artifact in await host.artifacts(row.id):
                assert BIG.encode() in await host.get_file(artifact.digest)
        assert await host.secrets() == ["SOME_KEY"]
    finally:
        await host.close()
