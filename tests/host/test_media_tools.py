"""A host's agent speaks and hears by the models of [models.for], and the ledger says what that cost."""

import pytest

from agenthost.core.api import Order
from agenthost.core.events import Finished
from agenthost.models.playbook import as_playbook
from agenthost.testing.openai_server.service import Service, serving
from tests.host.conftest import Opens, followed

SPEAKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: speaker}
spec: {description: Speaks and hears, instructions: Speak., tools: [speak, transcribe]}
"""
PLAYS = """\
rules:
  - when: {turn: 0}
    reply: {calls: [{tool: speak, arguments: {text: "a word spoken", path: a.wav}}]}
  - when: {turn: 1}
    reply: {calls: [{tool: transcribe, arguments: {path: a.wav}}]}
  - when: {tool: transcribe, matches: "(?P<heard>a word spoken)"}
    reply: {text: "I heard: {{heard}}"}
  - reply: {text: "I heard nothing."}
"""
TOML = """\
[models.providers.acme]
base-url = "%s/v1"
[models.names.voice]
model = "acme:voice"
card = {character_price = 1000000.0}
[models.names.ear]
model = "acme:ear"
card = {minute_price = 60.0}
[models.for]
speak = "voice"
transcribe = "ear"
"""


async def test_an_agent_speaks_and_hears_and_the_ledger_says_what_it_cost(opens: Opens) -> None:
    async with serving(Service(as_playbook({"rules": [{"reply": {"text": "?"}}]})).application()) as url:
        host = await opens(PLAYS, SPEAKER, toml=TOML % url)
        task = (await host.start(Order("speaker", "go"))).id
        end = (await followed(host, task))[-1].event
        assert isinstance(end, Finished)
        assert (await host.task(task)).row.state == "completed" and "I heard: a word spoken" in str(end)
        entries = {entry.model: entry for entry in await host.ledger(task) if entry.model in ("voice", "ear")}
        assert all(entry.settled and entry.priced for entry in entries.values())
        # 13 characters at a dollar each; 1.3 seconds at a dollar each.
        assert {name: entry.spent.cost for name, entry in entries.items()} == pytest.approx({"voice": 13.0, "ear": 1.3})
