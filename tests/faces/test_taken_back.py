"""Who may no more is believed no more, at once: by the next request, and by the streams that are open."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from agenthost.cli.serving import Listening, served
from agenthost.client.client import Client, Timing
from agenthost.client.transport import Address
from agenthost.core.access import Caller
from agenthost.core.administration import NewKey, NewPerson, PersonChange
from agenthost.core.api import Order
from agenthost.core.errors import AgentHostError, Forbidden, NotFound, Unauthenticated
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

ECHO = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: echo}\nspec: {instructions: Say it back.}\n"
PLAYS = 'rules:\n  - when: {says: "for ever"}\n    reply: {text: "I go on", pause: 600}\n  - reply: {text: done}\n'
CHANGES = ("revoked", "disabled", "removed", "erased")


class Place:
    """A host as `agenthost up` serves it."""

    def __init__(self, host: Host, url: str) -> None:
        self.host = host
        self.url = url

    async def otto(self, role: Any = "user") -> NewKey:
        """Somebody with a key."""
        admin = self.host.admin()
        await admin.add_person(NewPerson("otto", role))
        return await admin.make_key(person="otto")

    def client(self, made: NewKey, absent: float = 10.0) -> Client:
        return Client(Address(url=self.url, token=made.secret), Timing(absent=absent))

    async def take_back(self, made: NewKey, change: str) -> None:
        admin = self.host.admin()
        if change == "revoked":
            await admin.revoke_key(made.key.id, "otto")
        elif change == "disabled":
            await admin.change_person("otto", PersonChange(disabled=True, tasks="keep"))
        elif change == "role":
            await admin.change_person("otto", PersonChange(role="read-only"))
        elif change == "removed":
            await admin.delete_person("otto", "keep")
        else:
            await self.host.erasure.of(Caller(), self.host).person("otto")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Place]:
    # Nothing is found out by looking again: only what is told counts.
    monkeypatch.setattr("agenthost.faces.http.presence.LOOK", 3600.0)
    monkeypatch.setattr("agenthost.host.reception._FOR", 3600.0)
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "plays.yaml").write_text(PLAYS)
    (home / "agenthost.toml").write_text("[a2a]\nenabled = false\n[mcp]\nenabled = false\n")
    environment = {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"}
    host = await open_host(load(home, environment), work=True)
    try:
        await host.apply({"echo.yaml": ECHO})
        async with served(host, home / "host.sock", Listening("127.0.0.1", 0)) as url:
            yield Place(host, url)
    finally:
        await host.close()


@pytest.mark.parametrize("change", CHANGES)
async def test_the_next_request_is_refused(place: Place, change: str) -> None:
    made = await place.otto()
    async with place.client(made) as client:
        assert (await client.admin().whoami()).person.id == "otto"
        await place.take_back(made, change)
        with pytest.raises(Unauthenticated):
            await client.admin().whoami()


async def test_another_role_counts_for_the_next_request(place: Place) -> None:
    made = await place.otto("operator")
    async with place.client(made) as client:
        await client.doctor()
        await place.take_back(made, "role")
        with pytest.raises(Forbidden):
            await client.doctor()


async def test_what_one_takes_from_oneself_is_still_answered(place: Place) -> None:
    made = await place.otto("owner")
    async with place.client(made) as client:
        other = await client.admin().make_key()
        async with place.client(other) as again:
            await again.admin().revoke_key(other.key.id)
            with pytest.raises(Unauthenticated):
                await again.admin().whoami()
        assert (await client.deletion().person("otto")).people == 1
        with pytest.raises(Unauthenticated):
            await client.admin().whoami()


@pytest.mark.parametrize("change", [*CHANGES, "role"])
async def test_streams_of_events_end(place: Place, change: str) -> None:
    made = await place.otto()
    row = await place.host.start(Order("echo", "for ever", person="otto"))
    opened = asyncio.Semaphore(0)
    heard: list[bytes] = []

    async def follows(path: str) -> None:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {made.secret}"}) as session,
            session.get(f"{place.url}/api/v1/{path}") as stream,
        ):
            assert stream.status == 200
            opened.release()
            with suppress(aiohttp.ClientError):
                heard.append(await stream.content.read())

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(follows(f"tasks/{row.id}/events"))
        group.create_task(follows("events"))
        await opened.acquire()
        await opened.acquire()
        await place.take_back(made, change)
    # None came to an end of its own; what is deleted ends, too.
    assert change == "erased" or not any(b"event: end" in body for body in heard)


async def test_a_stream_of_openais_client_ends(place: Place) -> None:
    made = await place.otto()
    async with (
        asyncio.timeout(30),
        openai.AsyncOpenAI(base_url=f"{place.url}/v1", api_key=made.secret, max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "for ever"}], stream=True
        )
        await anext(aiter(stream))
        await place.take_back(made, "revoked")
        with pytest.raises((openai.APIError, httpx.HTTPError)):
            async for _ in stream:
                pass


async def test_who_is_erased_makes_nothing_more_while_the_rest_goes(place: Place) -> None:
    """Their tasks are ended first, which takes a while; a key of theirs counts no more by then."""
    made = await place.otto()
    for _ in range(3):
        await place.host.start(Order("echo", "for ever", person="otto"))
    began: list[str] = []

    async def goes_on() -> None:
        async with place.client(made) as client:
            with pytest.raises(AgentHostError):
                while True:
                    began.append((await client.start(Order("echo", "hi"))).id)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(goes_on())
        while not began:
            await asyncio.sleep(0.01)
        told = await place.host.erasure.of(Caller(), place.host).person("otto")
    assert (told.people, told.tasks >= 4) == (1, True)
    assert await place.host.tasks(Filter(person="otto")) == []


async def test_who_never_was_cant_be_erased(place: Place) -> None:
    with pytest.raises(NotFound, match="nobody with the id 'ott'"):
        await place.host.erasure.of(Caller(), place.host).person("ott")
    made = await place.otto()
    await place.host.start(Order("echo", "hi", person="otto"))
    await place.take_back(made, "removed")
    assert (await place.host.erasure.of(Caller(), place.host).person("otto")).tasks == 1  # what they left
