"""A real host in this process: SQLite in a temporary home, the scripted model, nothing of the tester's environment."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.api import LiveDelta
from agenthost.core.events import Recorded
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.testing.world import Lines

ECHO = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: echo}
spec: {description: Says it back, instructions: Say it back.}
"""
ASKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {description: Asks, instructions: Ask., tools: [ask]}
"""
PAIR = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: pair}
spec:
  description: Two at once
  roles: {one: {agent: echo, replicas: 2}}
  steps:
    - {id: left, role: one, needs: [], prompt: "left {{ task.text }}"}
    - {id: right, role: one, needs: [], prompt: "right {{ task.text }}"}
"""
PLAYS = """\
rules:
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "You said {{said}}"}
"""

ENVIRONMENT = {"AGENTHOST_SANDBOX": "bubblewrap"}  # the quickest

Opens = Callable[..., Coroutine[Any, Any, Host]]


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
async def opens(tmp_path: Path, log: Lines) -> AsyncGenerator[Opens]:
    """Opens the host of one home, again and again where it was closed in between."""
    opened: list[Host] = []

    async def open(
        plays: str = PLAYS, *manifests: str, work: bool = False, toml: str = "", serving: bool = False
    ) -> Host:
        (tmp_path / "plays.yaml").write_text(plays)
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        (home / "agenthost.toml").write_text(toml)
        host = await open_host(
            load(home, ENVIRONMENT | {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"}), work, log, serving
        )
        opened.append(host)
        texts = {f"{at}.yaml": text for at, text in enumerate(manifests)}
        done, problems = await host.apply(texts)
        assert not problems, problems
        assert len(done) == len(manifests)
        return host

    yield open
    for host in opened:
        await host.close()


async def followed(host: Host, task: str, after: dict[str, int] | None = None, tree: bool = True) -> list[Recorded]:
    """Every event of a task until it ends."""
    return [item async for item in host.follow(task, after, tree) if not isinstance(item, LiveDelta)]
