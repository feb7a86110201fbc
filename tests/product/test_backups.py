"""A back-up of a host at work: whole, as of one moment, and a host that goes on from it elsewhere."""

import asyncio
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.client.client import Client, connect
from agenthost.core.api import Order
from agenthost.core.errors import HostUnreachable
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.host.host import Host, open_host
from agenthost.host.replaying.comparing import gap
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
            made = (await command(busy, "backup", "create", str(folder), "--json")).objects()[-1]["made"]
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
            assert gap(row, await host.events_of(row.id)) is None
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


def test_every_verb_says_what_it_did_and_what_is_wrong_in_one_line(product: Product, tmp_path: Path) -> None:
    product.run("secrets", "set", "SOME_KEY", stdin=b"very-secret-value")
    made = product.run("backup", "create")
    assert made.code == 0 and "keep it as you keep them" in made.out and "copy it elsewhere" in made.err
    assert "very-secret-value" not in made.out + made.err
    [file] = (product.home / "backups").iterdir()
    [line] = product.run("backup", "list").out.splitlines()
    assert line.endswith(f"with secrets\t0.1.0\t{file}")
    again = product.run("backup", "create", str(product.home / "backups" / "bare.agenthost.tar.gz"), "--no-secrets")
    assert "not in it: secret.key" in again.out and "keep it as" not in again.out
    assert len(product.run("backup", "list").out.splitlines()) == 2
    (tmp_path / "to").mkdir()
    assert product.run("backup", "list", str(tmp_path / "to")).out == ""
    for number in range(2):
        product.run("backup", "create", str(tmp_path / "to" / f"{number}.agenthost.tar.gz"), "--keep", "1")
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["1.agenthost.tar.gz"]
    gone = [line for line in product.run("backup", "list").out.splitlines() if "it isn't there any more" in line]
    assert len(gone) == 1

    product.run("backup", "list", str(tmp_path / "no")).refused(f"there is no folder '{tmp_path}/no'")
    product.run("backup", "create", str(tmp_path / "no")).refused(
        f"there is no folder {tmp_path}/no; make it, or name a file that ends with .agenthost.tar.gz"
    )
    product.run("backup", "create", "--keep", "-1").refused("--keep takes a number of back-ups, such as 7")
    busy = product.run("backup", "restore", str(file))
    assert busy.code == 2 and "isn't empty" in busy.err and "--force" in busy.err
    file.write_bytes(file.read_bytes()[:-200])
    damaged = product.run("backup", "verify", str(file))
    assert damaged.code == 2 and "is damaged" in damaged.err and damaged.out == ""


@pytest.mark.journals("a newer host wrote a part of it")
def test_a_home_of_an_earlier_release_is_upgraded_and_taken_back_by_its_verb(product: Product, tmp_path: Path) -> None:
    product.home.mkdir()
    with tarfile.open(Path(__file__).parents[1] / "stores" / "format-1.tar.gz") as tar:
        tar.extractall(product.home, filter="data")
    tried = product.run("upgrade", "--dry-run")
    assert tried.code == 0 and "format 1 to " in tried.out and "Nothing was changed." in tried.out
    assert product.sql("PRAGMA user_version") == [(1,)]
    done = product.run("upgrade")
    assert done.code == 0 and "agenthost upgrade --back" in done.out
    assert product.sql("PRAGMA user_version")[0][0] > 1
    assert "already" in product.run("upgrade").out
    back = product.run("upgrade", "--back")
    assert back.code == 0 and "format 1 again" in back.out and "install the version" in back.err
    assert product.sql("PRAGMA user_version") == [(1,)]
    product.sql("UPDATE events SET kind = 'of-later' WHERE seq = 3")
    bad = product.run("upgrade", "--dry-run")
    assert bad.code == 1 and "can't be read" in bad.out
    product.run("upgrade", "--back", "--dry-run").refused("--dry-run and --back are two things; give one of them")
    product.run("upgrade", "--force").refused("--force goes with --back")
