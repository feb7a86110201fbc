"""A real host on a port: agents, a workflow, tools and a sandbox's runs are what is counted and traced."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from msgspec import Struct

from agenthost.cli.serving import Listening, served
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

PLAYBOOK = """
rules:
  - when: {agent: writer, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: a.txt, content: hello}}]}
  - when: {agent: asking, turn: 0}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?"}}]}
  - when: {agent: broken}
    fail: {kind: bad-request, message: "no"}
  - when: {agent: shaky}
    reply: {text: at last}
    fail: {kind: rate-limit, times: 1, retry: 0.01}
  - reply: {text: "You said {{said}}", usage: {input: 100, output: 10}}
"""

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: quick}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {tools: [workspace]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asking}
spec: {tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: broken}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: distant}
spec: {model: far}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: shaky}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: family}
spec:
  roles: {worker: {agent: quick, replicas: 2}}
  steps:
    - {id: first, role: worker, prompt: "first"}
    - {id: look, needs: [first], command: "echo seen"}
    - {id: second, role: worker, needs: [look], prompt: "{{ steps.first.text }}"}
"""


class Served(Struct):
    """A host, its URL, and a client with the owner's token."""

    host: Host
    url: str
    client: aiohttp.ClientSession

    async def done(self, name: str, **headers: str) -> str:
        """Have work done over HTTP; the task's id."""
        async with self.client.post("/api/v1/tasks", json={"name": name, "text": "hello"}, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            task = (await answer.json())["id"]
        await self.end(task)
        return task

    async def end(self, task: str) -> None:
        """Follow a task until it has ended."""
        async with self.client.get(f"/api/v1/tasks/{task}/events") as answer:
            assert b"finished" in await answer.read()

    async def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by name and labels, as Prometheus writes them."""
        async with self.client.get("/metrics") as answer:
            assert answer.status == 200
            lines = (await answer.text()).splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@asynccontextmanager
async def up(home: Path, end: signal.Signals = signal.SIGTERM) -> AsyncGenerator[aiohttp.ClientSession]:
    """`agenthost up` as a process of its own, and a client with the owner's token."""
    command = (sys.executable, "-m", "agenthost.cli", "up", "--json", "--quiet", "--port", "0", "--home", str(home))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = json.loads(await process.stdout.readline())["url"]
        token = {"Authorization": f"Bearer {(home / 'token').read_text().strip()}"}
        async with aiohttp.ClientSession(url, headers=token) as client:
            yield client
    finally:
        process.send_signal(end)
        await process.wait()


Serves = Callable[..., AbstractAsyncContextManager[Served]]


def make_home(folder: Path, toml: str = "", playbook: str = PLAYBOOK) -> Path:
    """A home with these agents, whose default model plays `playbook`."""
    home = folder / "home"
    (home / "manifests").mkdir(parents=True, exist_ok=True)
    (home / "manifests" / "agents.yaml").write_text(MANIFESTS)
    (home / "playbook.yaml").write_text(playbook)
    (home / "agenthost.toml").write_text(f'[models]\ndefault = "scripted:{home}/playbook.yaml"\n{toml}')
    return home


@pytest.fixture
def serves(tmp_path: Path) -> Serves:
    """Serves the host of one home, again and again."""

    @asynccontextmanager
    async def serve(toml: str = "", playbook: str = PLAYBOOK) -> AsyncGenerator[Served]:
        home = make_home(tmp_path, toml, playbook)
        host = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap"}), True, serving=True)
        try:
            async with served(host, tmp_path / "host.sock", Listening(port=0)) as url:
                token = {"Authorization": f"Bearer {(home / 'token').read_text().strip()}"}
                async with aiohttp.ClientSession(url, headers=token) as client:
                    yield Served(host, url, client)
        finally:
            await host.close()

    return serve
