"""A real host on a port of loopback, behind it the scripted OpenAI server, before it the official clients."""

import json
import struct
import time
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from agenthost.cli.serving import Listening, served
from agenthost.core.access import Key, Person, Right, Role
from agenthost.core.events import Recorded
from agenthost.core.ports import Filter, LedgerEntry
from agenthost.core.tasks import TaskRow
from agenthost.host.host import Host, open_host
from agenthost.host.reception import digest_of
from agenthost.host.settings import load
from agenthost.models.playbook import as_playbook
from agenthost.testing.openai_server import record
from agenthost.testing.openai_server.service import Service, serving

MANIFESTS = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: helper}
spec: {description: It helps., instructions: Be good.}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {description: It asks., instructions: Ask., tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: boss}
spec: {description: It delegates., instructions: Delegate., tools: ["delegate:asker"]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: counter}
spec:
  description: It answers in JSON.
  output: {type: object, properties: {n: {type: integer}}, required: [n]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: poor}
spec: {description: It may spend nothing., instructions: Spend., budget: {tokens: 10}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: pair}
spec:
  description: Two after another.
  roles: {one: {agent: helper}}
  steps:
    - {id: left, role: one, prompt: "left {{ task.text }}"}
    - {id: right, role: one, prompt: "right {{ steps.left.text }}"}
"""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PICTURE = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    + _chunk(b"IEND", b"")
)
"""A red pixel."""

PLAYS: dict[str, Any] = {
    "name": "openai",
    "rules": [
        {"when": {"says": "break"}, "fail": {"kind": "auth"}},
        {"when": {"says": "refuse"}, "reply": {"text": "I won't.", "stop": "refusal"}},
        {"when": {"says": "endless"}, "reply": {"text": "and on and on", "stop": "length"}},
        {"when": {"says": "slowly"}, "reply": {"text": "one two three four five six", "pause": 0.05}},
        {"when": {"says": "forever"}, "reply": {"text": "never", "delay": 60}},
        {"when": {"says": "think"}, "reply": {"reasoning": "Let me see.", "text": "Seen."}},
        *(
            {"when": {"offers": tool}, "reply": {"calls": [{"tool": tool, "arguments": {"n": 7}}]}}
            for tool in ("final_result", "Number")
        ),
        {"when": {"says": "number", "turn": 0}, "reply": {"text": "seven"}},
        {"when": {"anywhere": "number"}, "reply": {"text": '{"n":7}'}},
        {"when": {"tool": "weather"}, "reply": {"text": "It is {{said}}."}},
        {
            "when": {"offers": "weather", "says": "two cities"},
            "reply": {
                "text": "Let me look.",
                "calls": [
                    {"tool": "weather", "arguments": {"city": "Rome"}},
                    {"tool": "weather", "arguments": {"city": "Oslo"}},
                ],
            },
        },
        {
            "when": {"offers": "weather", "says": "weather"},
            "reply": {"calls": [{"tool": "weather", "arguments": {"city": "Rome"}}]},
        },
        {
            "when": {"offers": "delegate_to_asker", "turn": 0},
            "reply": {"calls": [{"tool": "delegate_to_asker", "arguments": {"task": "find out"}}]},
        },
        {
            "when": {"offers": "ask_person", "turn": 0},
            "reply": {
                "calls": [
                    {"tool": "ask_person", "arguments": {"question": "Which colour?", "options": ["red", "blue"]}}
                ]
            },
        },
        {
            "when": {"offers": "ask_person", "turn": 1},
            "reply": {"calls": [{"tool": "ask_person", "arguments": {"question": "How large?"}}]},
        },
        {"reply": {"text": "You said: {{said}}"}},
    ],
}


class Bench:
    """A host, its address and token, and clients of it. `folder` is where the model's server keeps what it was asked."""

    def __init__(self, host: Host, url: str, token: str, folder: Path) -> None:
        self.host = host
        self.url = url
        self.token = token
        self.folder = folder
        self.client = AsyncOpenAI(api_key=token, base_url=f"{url}/v1")

    async def tasks(self) -> list[TaskRow]:
        """Every root task, newest first."""
        return await self.host.tasks(Filter(roots_only=True))

    async def ledger(self) -> list[LedgerEntry]:
        """The ledger of the newest task."""
        return await self.host.ledger((await self.tasks())[0].id)

    def asked(self) -> list[dict[str, Any]]:
        """What the model was asked so far, as it came over the wire."""
        return [json.loads(body) for body in record.bodies(self.folder)]

    async def journal(self) -> list[Recorded]:
        """The journal of the newest task."""
        return await self.host.events_of((await self.tasks())[0].id)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    service = Service(as_playbook(PLAYS), tmp_path / "record")
    async with serving(service.application()) as model:
        environment = {"AGENTHOST_MODEL": "fake:scripted", "AGENTHOST_SANDBOX": "bubblewrap"}
        home = tmp_path / "home"
        home.mkdir()
        (home / "agenthost.toml").write_text(f'[models.providers.fake]\nbase-url = "{model}/v1"\n')
        host = await open_host(load(home, environment), work=True, serving=True)
        try:
            _, problems = await host.apply({"all.yaml": MANIFESTS})
            assert not problems, problems
            async with served(host, home / "host.sock", Listening("127.0.0.1", 0)) as url:
                made = Bench(host, url, (home / "token").read_text().strip(), tmp_path / "record")
                yield made
                await made.client.close()
        finally:
            await host.close()
            service.close()


async def somebody(bench: Bench, name: str, role: Role, rights: tuple[Right, ...] = ("read", "work")) -> AsyncOpenAI:
    """A client of another person's."""
    accounts = bench.host._adapters.accounts  # pyright: ignore[reportPrivateUsage]
    await accounts.put_person(Person(name, role, time.time()))
    await accounts.put_key(Key(f"key-{name}", name, digest_of(f"ah_{name}"), time.time(), rights=rights))
    return AsyncOpenAI(api_key=f"ah_{name}", base_url=f"{bench.url}/v1", max_retries=0)
