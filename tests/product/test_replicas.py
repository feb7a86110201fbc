"""`replicas` is how many runs of a role go on at once: measured, and changed while it runs."""

from pathlib import Path

import pytest

from agenthost.core.api import LiveDelta, Order
from agenthost.core.commands import CallModel
from agenthost.core.events import Answered, Asked, Finished
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

PLAYBOOK = """
name: slow
rules:
  - when: {}
    reply: {text: done, delay: 0.2}
"""


def manifest(replicas: int, items: int) -> str:
    return f"""
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: worker}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {{name: many}}
spec:
  roles: {{worker: {{agent: worker, replicas: {replicas}}}}}
  steps:
    - {{id: all, role: worker, foreach: "range({items})", prompt: "number {{{{ item }}}}"}}
"""


@pytest.fixture
async def host(tmp_path: Path):
    (tmp_path / "playbook.yaml").write_text(PLAYBOOK)
    (tmp_path / "agenthost.toml").write_text(f'[models]\ndefault = "scripted:{tmp_path}/playbook.yaml"\n')
    opened = await open_host(load(tmp_path, {"AGENTHOST_SANDBOX": "bubblewrap"}))
    yield opened
    await opened.close()


class Overlap:
    """How many model calls are going on, as the journal says."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.ended = 0

    def see(self, event: object) -> None:
        if isinstance(event, Asked) and isinstance(event.command, CallModel):
            self.now += 1
            self.most = max(self.most, self.now)
        elif isinstance(event, Answered) and event.command.startswith("m"):
            self.now -= 1
        elif isinstance(event, Finished):
            self.ended += 1


async def run(host: Host, replicas: int, items: int, change: int = 0) -> list[Overlap]:
    """Run to the end; the overlap before and after the count is changed (when two have ended)."""
    await host.apply({"m.yaml": manifest(replicas, items)})
    row = await host.start(Order("many"))
    measured = [Overlap()]
    async for item in host.follow(row.id):
        if isinstance(item, LiveDelta):
            continue
        measured[-1].see(item.event)
        if change and len(measured) == 1 and measured[0].ended == 2:
            after = Overlap()
            after.now = measured[0].now
            measured.append(after)
            await host.apply({"m.yaml": manifest(change, items)})
    return measured


@pytest.mark.parametrize("replicas", [1, 2, 4])
async def test_the_measured_parallelism_is_the_number_of_replicas(host: Host, replicas: int) -> None:
    (measured,) = await run(host, replicas, items=replicas * 2)

    assert measured.most == replicas


async def test_a_change_takes_effect_without_a_restart(host: Host) -> None:
    before, after = await run(host, 1, items=9, change=4)

    assert before.most == 1
    assert after.most == 4
