"""`/api/v1/health` over a real host on a port: each part that can be degraded is, and says so to those who may know."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agenthost.cli.serving import Listening, served
from agenthost.client.client import Client
from agenthost.client.transport import Address
from agenthost.core.access import Key, Person
from agenthost.core.api import Order
from agenthost.core.lifecycle import FINAL
from agenthost.core.sandboxes import Availability
from agenthost.host import health
from agenthost.host.host import Host, open_host
from agenthost.host.reception import digest_of
from agenthost.host.settings import load
from agenthost.sandboxes.choice import Choice
from agenthost.sandboxes.egress.way import Way

ECHO = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: echo}\nspec: {instructions: Say it back.}\n"
SLOW = "rules:\n  - reply: {text: done, delay: 600}\n"
QUICK = "rules:\n  - reply: {text: done}\n"


class Open:
    """A host that is served, with a client of its owner's."""

    def __init__(self, host: Host, url: str, client: aiohttp.ClientSession) -> None:
        self.host = host
        self.url = url
        self.client = client

    async def now(self) -> tuple[str, dict[str, Any]]:
        """How it is, and what is degraded, by its name."""
        async with self.client.get("/api/v1/health") as answer:
            assert answer.status == 200
            told = await answer.json()
        return told["status"], {each["what"]: each for each in told["degraded"]}


Opens = Callable[..., AbstractAsyncContextManager[Open]]


@pytest.fixture
def opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opens:
    # What is found is told anew each time.
    monkeypatch.setattr(health, "FRESH", 0.0)

    @asynccontextmanager
    async def opened(toml: str = "", plays: str = QUICK, model: str = "") -> AsyncGenerator[Open]:
        home = tmp_path / "home"
        home.mkdir()
        (home / "agenthost.toml").write_text(toml)
        (tmp_path / "plays.yaml").write_text(plays)
        environment = {
            "AGENTHOST_SANDBOX": "bubblewrap",
            "AGENTHOST_MODEL": model or f"scripted:{tmp_path}/plays.yaml",
        }
        host = await open_host(load(home, environment), work=True, serving=True)
        try:
            await host.apply({"echo.yaml": ECHO})
            async with served(host, home / "host.sock", Listening("127.0.0.1", 0)) as url:
                token = {"Authorization": f"Bearer {(home / 'token').read_text().strip()}"}
                async with aiohttp.ClientSession(url, headers=token) as client:
                    yield Open(host, url, client)
        finally:
            await host.close()

    return opened


async def test_what_is_degraded_is_told_to_those_who_look_after_the_host(opens: Opens) -> None:
    async with opens() as opened:
        assert await opened.now() == ("ok", {})
        token = opened.client.headers["Authorization"].removeprefix("Bearer ")
        async with Client(Address(url=opened.url, token=token)) as client:
            assert (await client.health()).status == "ok"
        statuses: dict[str, int] = {}
        for role in ("operator", "user", "read-only"):
            await opened.host.accounts.put_person(Person(role, role, time.time()))  # type: ignore[arg-type]
            await opened.host.accounts.put_key(Key(role, role, digest_of(f"ah_{role}"), time.time()))
            head = {"Authorization": f"Bearer ah_{role}"}
            async with opened.client.get("/api/v1/health", headers=head) as answer:
                statuses[role] = answer.status
        assert statuses == {"operator": 200, "user": 403, "read-only": 403}
        async with aiohttp.ClientSession(opened.url) as nobody:
            async with nobody.get("/api/v1/health") as answer:
                assert answer.status == 401
            for path in ("/healthz", "/readyz"):
                async with nobody.get(path) as answer:
                    assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_a_model_server_that_is_down_is_told(opens: Opens) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        toml = f'[models.providers.far]\nbase-url = "http://127.0.0.1:{closed.getsockname()[1]}/v1"\n[work]\nbackoff = 0.01\n'
        async with opens(toml, model="far:one") as opened:
            row = await opened.host.start(Order("echo", "hello"))
            async with asyncio.timeout(60):
                while (await opened.host.task(row.id)).row.state not in FINAL and "model calls" not in (
                    await opened.now()
                )[1]:
                    await asyncio.sleep(0.02)
            status, found = await opened.now()
            assert status == "degraded"
            assert "far:one" in found["model calls"]["seen"] or "default" in found["model calls"]["seen"]
            assert found["model calls"]["fix"]
            # It takes work all the same: what is degraded is no reason to send requests elsewhere.
            async with opened.client.get("/readyz") as answer:
                assert (answer.status, await answer.json()) == (200, {"status": "ok"})
            async with opened.client.get("/api/v1/doctor") as answer:
                assert found["model calls"] in await answer.json()


async def test_a_full_queue_is_told_once_somebody_has_waited_long(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opens("[work]\ntasks = 1\n", SLOW) as opened:
        for text in ("one", "two"):
            await opened.host.start(Order("echo", text))
        assert await opened.now() == ("ok", {})
        monkeypatch.setattr(health, "WAITING", 0.0)
        async with asyncio.timeout(30):
            while (await opened.now())[0] == "ok":
                await asyncio.sleep(0.02)
        _, found = await opened.now()
        assert found["queue"]["seen"] == "root tasks: 1 of 1 run, 1 wait" and found["queue"]["fix"]


@pytest.mark.parametrize(("low", "status"), [(1 << 60, "fail"), (None, "warn")])
async def test_a_disk_that_fills_up_is_told(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, low: int | None, status: str
) -> None:
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(health, "LOW_DISK", low or 2 * free)
    async with opens() as opened:
        now, found = await opened.now()
    assert (now, found["disk"]["status"]) == ("degraded", status)


async def test_a_sandbox_that_is_not_there_is_told(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(choice: Choice) -> Availability:
        return Availability(False, "there is none", "install bubblewrap")

    async with opens() as opened:
        monkeypatch.setattr(Choice, "available", none)
        status, found = await opened.now()
    assert status == "degraded"
    assert found == {
        "sandbox": {"status": "warn", "what": "sandbox", "seen": "there is none", "fix": "install bubblewrap"}
    }


async def test_calls_of_webhooks_that_are_not_made_are_told(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(way: Way, host: str, port: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", port)]

    monkeypatch.setattr(Way, "_look_up", look_up)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"hook.lan:{closed.getsockname()[1]}"
        async with opens(f'[network]\nprivate = ["{place}"]\n') as opened:
            async with opened.client.post("/api/v1/webhooks", json={"url": f"http://{place}/hook"}) as answer:
                made = await answer.json()
                assert answer.status == 201, made
            async with opened.client.post(f"/api/v1/webhooks/{made['id']}/test") as answer:
                assert answer.status == 202
            assert await opened.now() == ("ok", {})
            # It is tried again later: as if that were long past.
            monkeypatch.setattr(health, "LATE", -86_400.0)
            async with asyncio.timeout(30):
                while "webhooks" not in (await opened.now())[1]:
                    await asyncio.sleep(0.02)
