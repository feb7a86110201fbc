"""A host whose agents write files, send things and delegate, by the scripted model."""

import pytest

from agenthost.core.api import Order
from agenthost.host.host import Host
from tests.host.conftest import Opens, followed
from tests.host.replaying.tools import CALLS

WORKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: worker}
spec: {description: Works, instructions: Work., tools: [note, send, ask], budget: {turns: 6, duration: 1h}}
"""
LEADER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: leader}
spec: {description: Leads, instructions: Lead., tools: ["delegate:worker", note]}
"""
SETTINGS = "[tools]\n" + "".join(f'{name} = "tests.host.replaying.tools:{name}"\n' for name in ("note", "send"))

WORKS = """\
rules:
  - when: {offers: delegate_to_worker, turn: 0}
    reply: {calls: [{tool: note, arguments: {path: lead.txt, text: begun}}]}
  - when: {offers: delegate_to_worker, turn: 1}
    reply: {calls: [{tool: delegate_to_worker, arguments: {task: "do it"}}]}
  - when: {offers: delegate_to_worker}
    reply: {text: "led: {{said}}"}
  - when: {turn: 0}
    reply: {text: "first", calls: [{tool: note, arguments: {path: a.txt, text: one}}]}
  - when: {turn: 1}
    reply: {calls: [{tool: note, arguments: {path: a.txt, text: two}}, {tool: note, arguments: {path: b.txt, text: three}}]}
  - when: {turn: 2}
    reply: {calls: [{tool: send, arguments: {to: ann}}]}
  - reply: {text: "ready: {{said}}"}
"""


@pytest.fixture(autouse=True)
def calls() -> list[tuple[str, object]]:
    """What the tools really did."""
    CALLS.made.clear()
    return CALLS.made


async def working(opens: Opens, plays: str = WORKS) -> Host:
    return await opens(plays, WORKER, LEADER, toml=SETTINGS)


async def done(host: Host, name: str = "worker", **more: object) -> str:
    """The id of a task that has ended."""
    task = (await host.start(Order(name, "go", **more))).id  # type: ignore[arg-type]
    await followed(host, task)
    return task
