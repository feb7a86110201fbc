"""A host's agent speaks and hears by the models of [models.for], and the ledger says what that cost."""

import pytest

from agenthost.core.api import Order
from agenthost.core.events import Answered, Finished
from agenthost.core.tools import ToolResult
from agenthost.models.playbook import as_playbook
from agenthost.testing.models import PICTURE
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


MAKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: maker}
spec: {instructions: Make., tools: [draw, speak, transcribe, moderate], budget: {cost: 2.00 USD}}
"""
MAKES = """\
rules:
  - when: {turn: 0}
    reply:
      calls:
        - {tool: draw, arguments: {prompt: "a cat", path: b.png, images: [a.png]}}
        - {tool: speak, arguments: {text: "a word", path: b.mp3}}
        - {tool: transcribe, arguments: {path: a.wav}}
        - {tool: moderate, arguments: {text: "is this harm"}}
  - reply: {text: "Done."}
"""
MODELS = """\
[models.providers.%s]
base-url = "%s/v1"
api-key = "key-of-nobody"
[models.for]
draw = "%s:%s"
speak = "%s:%s"
transcribe = "%s:%s"
moderate = "%s:%s"
"""


async def made(opens: Opens, provider: str, names: tuple[str, str, str, str]) -> tuple[dict[str, float], list[str]]:
    """What an agent with 2 USD paid for a picture, speech, hearing and judging, by model, and what it was told."""
    async with serving(Service(as_playbook({"rules": [{"reply": {"text": "?"}}]})).application()) as url:
        toml = MODELS % (provider, url, *(word for name in names for word in (provider, name)))
        host = await opens(MAKES, MAKER, toml=toml)
        files = {"a.png": PICTURE, "a.wav": b"RIFF" + b"\0" * 40 + b"hello"}
        workspace = {
            name: (await host.put_file(name, content, "application/octet-stream")).digest
            for name, content in files.items()
        }
        task = (await host.start(Order("maker", "go", workspace=workspace))).id
        events = [item.event for item in await followed(host, task)]
        assert (await host.task(task)).row.state == "completed"
        entries = [entry for entry in await host.ledger(task) if entry.model.startswith(f"{provider}:")]
        assert all(entry.settled and entry.priced for entry in entries)
        answers = [event for event in events if isinstance(event, Answered)]
        told = [one.answer.text for one in answers if isinstance(one.answer, ToolResult)]
        told += [one.failure.message for one in answers if one.failure is not None]
        return {entry.model: entry.spent.cost for entry in entries if entry.spent is not None}, told


async def test_what_openais_own_models_make_is_paid_by_their_known_prices(opens: Opens) -> None:
    paid, told = await made(opens, "openai", ("gpt-image-1", "tts-1-hd", "whisper-1", "omni-moderation-latest"))
    assert len(told) == 4 and told[2:] == ["hello", told[3]] and told[3].startswith("Harmful.")
    assert paid == pytest.approx(
        {
            "openai:gpt-image-1": (2 * 10 + 272 * 40) / 1e6,  # as the server counted
            "openai:tts-1-hd": 6 * 30 / 1e6,
            "openai:whisper-1": 0.5 / 60 * 0.006,  # half a second
            "openai:omni-moderation-latest": 0.0,
        }
    )


async def test_what_has_no_known_price_is_not_made_on_a_budget_of_money(opens: Opens) -> None:
    paid, told = await made(opens, "acme", ("flux", "gpt-4o-mini-tts", "parakeet", "guard"))
    assert not paid and len(told) == 4
    for name, said in zip(("flux", "gpt-4o-mini-tts", "parakeet", "guard"), told, strict=True):
        assert f"the price of 'acme:{name}' is not known" in said
        assert all(field in said for field in ("input_price", "image_price", "minute_price", "character_price"))
