"""Webhooks, imports and deletion by the client, against a real host on its socket: records and errors are those of the host itself."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agenthost.cli.faces import desks
from agenthost.client.client import Client, connect
from agenthost.core.access import Caller
from agenthost.core.api import Order
from agenthost.core.errors import BadInput, Conflict, NotFound, Unusable
from agenthost.core.importing import ImportOrder
from agenthost.core.webhooks import NewWebhook
from agenthost.faces.http.server import Everybody, Offer, serve
from agenthost.host.host import Host
from tests.host.conftest import ECHO, PLAYS, Lines, Opens, log, opens

__all__ = ["Lines", "log", "opens"]
URL = "https://hooks.example.com/a"


@pytest.fixture
async def pair(opens: Opens, tmp_path: Path) -> AsyncGenerator[tuple[Host, Client]]:
    host = await opens(PLAYS, ECHO, work=True)
    offer = Offer(Everybody(host, host.admin()), faces=[desks(host)])
    async with serve(host, tmp_path / "home" / "host.sock", None, offer), connect(tmp_path / "home", {}) as client:
        yield host, client


async def ended(host: Host) -> str:
    row = await host.start(Order("echo", "hi"))
    async for _ in host.follow(row.id):
        pass
    return row.id


async def test_webhooks(pair: tuple[Host, Client]) -> None:
    host, client = pair
    webhooks = client.webhooks()
    task = await ended(host)
    made = await webhooks.add(NewWebhook(URL, ("task.ended",), task), key="one")
    assert await webhooks.add(NewWebhook(URL, ("task.ended",), task), key="one") == made
    with pytest.raises(Conflict, match="stands for another"):
        await webhooks.add(NewWebhook(URL), key="one")
    assert (made.task, made.events, made.secret[:6]) == (task, ("task.ended",), "whsec_")
    assert await webhooks.all() == await host.webhooks.of(Caller(), host).all() == [await webhooks.show(made.id)]
    sent = [(await webhooks.test(made.id)).id for _ in range(3)]
    first = await webhooks.deliveries(made.id, limit=2)
    second = await webhooks.deliveries(made.id, int(first.next), 2)
    assert [each.id for each in (*first.items, *second.items)] == sent[::-1] and second.next == ""
    assert first.items[0].body["type"] == first.items[0].event == "webhook.test"
    await webhooks.remove(made.id)
    with pytest.raises(NotFound, match="you have no webhook"):
        await webhooks.show(made.id)
    with pytest.raises(BadInput, match="not a public address"):
        await webhooks.add(NewWebhook("http://127.0.0.1/a"))
    with pytest.raises(NotFound, match="there is no task"):
        await webhooks.add(NewWebhook(URL, task="zzzz"))


async def test_importing(pair: tuple[Host, Client]) -> None:
    host, client = pair
    content = await host.export(await ended(host))
    kept = await client.put_file("it.zip", content, "application/zip")
    taken = await client.importing().take(ImportOrder(kept.digest))
    assert taken.agrees and (await client.task(taken.row.id)).row == taken.row
    with pytest.raises(NotFound, match="there is no file"):
        await client.importing().take(ImportOrder("sha256:" + "0" * 64))
    other = await client.put_file("not.zip", b"junk", "application/zip")
    with pytest.raises(Unusable, match="no zip that can be read"):
        await client.importing().take(ImportOrder(other.digest))


async def test_deletion(pair: tuple[Host, Client]) -> None:
    host, client = pair
    deletion = client.deletion()
    task = await ended(host)
    assert (await deletion.task(task)).tasks == 1
    with pytest.raises(NotFound):
        await deletion.task(task)
    await host.start(Order("echo", "hi", person="ann"))
    assert (await deletion.person("ann")).tasks == 1
    with pytest.raises(NotFound, match="nobody with the id"):
        await deletion.person("eve")
    await ended(host)
    assert (await deletion.namespace("default")).tasks == 1
