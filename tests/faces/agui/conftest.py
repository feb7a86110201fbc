"""A real host whose model is the scripted OpenAI server, AG-UI on a port of loopback before it, and both clients: the
official one of npm, and one that takes every event apart by the official Python types."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from ag_ui.core import Event
from pydantic import TypeAdapter
from testbeds.npm import NODE, npm_folder

from agenthost.core.access import Key, Person
from agenthost.faces.http import agui
from agenthost.faces.http.app import Face as HttpFace
from agenthost.faces.http.server import Offer, ServeSettings, listen
from agenthost.faces.http.server import serve as running
from agenthost.faces.http.streams import Closing, StreamSettings
from agenthost.host.host import Host, open_host
from agenthost.host.reception import digest_of
from agenthost.host.settings import load
from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.service import Service, serving

HERE = Path(__file__).parent
CLIENT = "1.0.0"
SETTINGS = """
[models]
default = "fake:scripted"
[models.providers.fake]
base-url = "URL/v1"
[tools]
pay = "agui.tools:PAY"
look = "agui.tools:LOOK"
"""
AGENTS = {
    "echo": {"tools": []},
    "asker": {"tools": ["ask"]},
    "payer": {"tools": ["pay", "look"]},
    "boss": {"tools": ["delegate:payer", "delegate:asker"]},
}
PAIR = {
    "roles": {"one": {"agent": "echo", "replicas": 2}},
    "steps": [
        {"id": "left", "role": "one", "needs": [], "prompt": "left {{ task.text }}"},
        {"id": "right", "role": "one", "needs": ["left"], "prompt": "right {{ task.text }}"},
    ],
}
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def manifests() -> dict[str, str]:
    """The agents and the workflow of every test here."""
    made = [("Agent", name, {"instructions": f"You are {name}.", **spec}) for name, spec in AGENTS.items()]
    made.append(("Workflow", "pair", PAIR))
    return {
        f"{name}.yaml": yaml.safe_dump(
            {"apiVersion": "agenthost.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        )
        for kind, name, spec in made
    }


class Face:
    """AG-UI as it is served: `url` of an agent, the host behind it, and how it is told that the host stops."""

    def __init__(self, port: int, host: Host, closing: Closing, tokens: dict[str, str]) -> None:
        self.port = port
        self.tokens = tokens
        self.host = host
        self.closing = closing

    def url(self, agent: str) -> str:
        return f"http://127.0.0.1:{self.port}/ag-ui/{agent}"

    def headers(self, person: str = "owner") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[person]}", "Accept": "text/event-stream"}

    async def front(self, agent: str, *runs: dict[str, Any], client: str = CLIENT, **plan: Any) -> list[dict[str, Any]]:
        """What the official client of npm, of that version, makes of runs of one thread."""
        folder = await asyncio.to_thread(lambda: npm_folder(**{"@ag-ui/client": client}))
        told = json.dumps({"thread": "t1", "runs": runs, "headers": self.headers(), **plan})
        process = await asyncio.create_subprocess_exec(
            str(NODE), str(HERE / "front.mjs"), str(folder), self.url(agent), told,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, said = await process.communicate()
        assert process.returncode == 0, said.decode()
        return json.loads(out)

    async def run(self, agent: str, person: str = "owner", **given: Any) -> list[Any]:
        """The events of one run, each read by the official types."""
        async with self.opened(agent, person, **given) as response:
            assert response.status == 200, await response.text()
            assert response.headers["content-type"].startswith("text/event-stream")
            return [event async for event in events_of(response)]

    async def refused(self, agent: str, body: bytes | dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the problem that a body is refused with."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession(headers=self.headers()) as session,
            session.post(self.url(agent), data=data) as response,
        ):
            return response.status, json.loads(await response.text())

    @asynccontextmanager
    async def opened(self, agent: str, person: str = "owner", **given: Any) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The response of one run while it is open; leaving it hangs up."""
        body = {"threadId": "t1", "runId": "r1", "messages": [], "protocolVersion": "1.0", **given}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session,
            session.post(self.url(agent), json=body, headers=self.headers(person)) as response,
        ):
            yield response


async def events_of(response: aiohttp.ClientResponse) -> AsyncGenerator[Any]:
    """The events of a stream, in order."""
    async for line in response.content:
        if line.startswith(b"data: "):
            yield EVENTS.validate_json(line[6:])
        else:
            assert line in (b"\n", b": alive\n"), line


def said(id: str, text: str) -> dict[str, Any]:
    """A message of the person."""
    return {"id": id, "role": "user", "content": text}


Serves = Callable[..., Coroutine[Any, Any, Face]]


@pytest.fixture
async def serves(tmp_path: Path) -> AsyncGenerator[Serves]:
    """Serves a host whose model plays a playbook, for the length of a test. `again`: the same home once more."""
    stack = AsyncExitStack()
    homes: list[AsyncExitStack] = []

    async def serve(plays: str = "", streams: StreamSettings | None = None, again: bool = False) -> Face:
        if again:
            await homes.pop().aclose()
        else:
            (tmp_path / "plays.yaml").write_text(plays)
            service = Service(load_playbook(tmp_path / "plays.yaml"))
            url = await stack.enter_async_context(serving(service.application()))
            (tmp_path / "home").mkdir()
            (tmp_path / "home" / "agenthost.toml").write_text(SETTINGS.replace("URL", url))
        homes.append(AsyncExitStack())
        host = await open_host(load(tmp_path / "home", {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
        homes[-1].push_async_callback(host.close)
        if not again:
            _, problems = await host.apply(manifests())
            assert not problems, problems
        closing = Closing()
        reception = await host.reception()
        tokens = {"owner": (tmp_path / "home" / "token").read_text().strip()}
        for person in () if again else ("ann", "bob"):
            await host.accounts.put_person(Person(person, "user", 1.0))
        for person in ("ann", "bob"):
            await host.accounts.put_key(Key(f"{person}-key", person, digest_of(f"ah_{person}"), 1.0))
            tokens[person] = f"ah_{person}"
        listener = listen("127.0.0.1", 0)
        settings = streams or StreamSettings()
        face = HttpFace(tuple(agui.routes(settings, closing)), ("/ag-ui/",))
        offer = Offer(reception, (listener,), (face,), closing=closing)
        await homes[-1].enter_async_context(
            running(host, tmp_path / "home" / "host.sock", ServeSettings(streams=settings), offer)
        )
        return Face(listener.getsockname()[1], host, closing, tokens)

    yield serve
    for home in homes:
        await home.aclose()
    await stack.aclose()
