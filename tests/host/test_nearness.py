"""Tasks are found and ranked by what they mean, where an embedding model is set; and a model that is slow or dead holds nothing up."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from aiohttp import web

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import LineFilter, Thread
from agenthost.core.events import Created
from agenthost.core.ports import Filter
from agenthost.host.conversing import nearness
from agenthost.host.host import Host
from agenthost.models.playbook import as_playbook
from agenthost.testing.gguf import TinyModel, write_model
from agenthost.testing.openai_server.offers import Offers
from agenthost.testing.openai_server.service import Service, serving
from host.conftest import ECHO, Opens

PLAYS = """\
rules:
  - when: {purpose: route}
    reply: {text: '{"task": 1, "meaning": "again", "confidence": 0.93}'}
  - reply: {text: "You said {{said}}"}
"""
TOML = """\
[routing]
model = "%s"
agent = "echo"
embeddings = "acme:vectors"
[models.providers.acme]
base-url = "%s"
"""

Serves = Callable[..., Any]


@pytest.fixture
async def serves() -> AsyncGenerator[Serves]:
    """An embedding server whose vectors count words; its address, and how many texts came with each request."""
    async with AsyncExitStack() as stack:

        async def serve() -> tuple[str, list[int]]:
            counts: list[int] = []

            def count(path: str, answer: dict[str, Any]) -> dict[str, Any]:
                counts.append(len(answer["data"]))
                return answer

            service = Service(as_playbook({"rules": []}), offers=Offers(twist=count))
            return f"{await stack.enter_async_context(serving(service.application()))}/v1", counts

        yield serve


async def place(host: Host, text: str, key: str) -> Placed:
    return await host.place(Incoming(text, conversation="chat:1", key=key, channel="chat"))


async def three(host: Host) -> list[str]:
    """Three tasks that have ended, each about something else."""
    made: list[str] = []
    for at, text in enumerate(("/new paint the garden fence", "/new poem about rivers", "/new book a train to Vienna")):
        placed = await place(host, text, f"n{at}")
        assert placed.task is not None
        made.append(placed.task.id)
        async for _ in host.follow(placed.task.id):
            pass
    await host.conversing.topics("chat:1")
    return made


async def test_what_no_rule_decides_is_ranked_by_meaning_and_each_text_is_embedded_once(
    opens: Opens, serves: Serves
) -> None:
    url, counts = await serves()
    host = await opens(PLAYS, ECHO, work=True, toml=TOML % ("default", url))
    fence, _, train = await three(host)
    assert counts == [], "rules need no vectors"
    placed = await place(host, "the garden wants it in green, or what is said of that", "m1")
    assert placed.decision is not None and placed.decision.rule == "model" and not placed.decision.words_only
    assert placed.decision.candidates[0].task == fence
    assert counts == [4], "the message, and each task once"
    (row,) = await host.tasks(Filter(name="routing"))
    created = (await host.events_of(row.id))[0].event
    assert isinstance(created, Created)
    similar = created.spec.inputs["similar"]
    assert similar[fence] > similar[train] >= 0
    assert [report.agrees for report in await host.replay(row.id)] == [True]
    booked = [entry for entry in await host._adapters.store.ledger("") if entry.model == "vectors"]  # pyright: ignore[reportPrivateUsage]
    assert len(booked) == 1 and booked[0].settled and booked[0].person == "owner"
    # A task that was spoken of since is another text, and the one that came of the last message is new.
    await place(host, "is that so with a train, perhaps, or is it another thing", "m2")
    assert len(counts) == 2 and counts[1] < 4


async def test_a_task_that_no_word_finds_is_found_by_its_meaning(opens: Opens, serves: Serves) -> None:
    url, _ = await serves()
    host = await opens(PLAYS, ECHO, work=True, toml=TOML % ("", url))
    fence, poem, _ = await three(host)
    said = nearness.Spoken("of rivers, rather")
    scene = nearness.Scene(tuple(await host.conversing.topics("chat:1", all=True)))
    kept = host._adapters.conversations  # pyright: ignore[reportPrivateUsage]

    async def embed(texts: Any, thread: Thread) -> Any:
        abilities = await host.abilities("acme:vectors")
        return (await abilities.embed(texts)).vectors

    near = nearness.Nearness(kept, "acme:vectors", embed, host._log)  # pyright: ignore[reportPrivateUsage]
    thread = Thread("default", "owner", "chat:1")
    whole = await near.weigh(said, scene, thread)
    assert whole.similar is not None and max(whole.similar, key=whole.similar.__getitem__) == poem
    # Among ten thousand, words and the last that was spoken of may show others alone.
    part = msgspec.structs.replace(scene, topics=tuple(topic for topic in scene.topics if topic.task == fence))
    found = await near.weigh(said, part, thread)
    assert found.scene.topics[0].task == fence and poem in [topic.task for topic in found.scene.topics]
    assert found.similar is not None and found.similar[poem] == pytest.approx(whole.similar[poem], abs=1e-3)


async def test_a_dead_server_holds_up_one_message_in_a_minute_and_loses_none(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True, toml=TOML % ("", "http://127.0.0.1:9/v1"))
    await three(host)
    for key in ("m1", "m2"):
        placed = await place(host, "the garden wants it in green, or what is said of that", key)
        assert placed.became == ("asked" if key == "m1" else "kept")
    (line,) = [each for each in await host.conversing.lines(LineFilter(conversation="chat:1")) if each.id == "m1"]
    assert line.decision is not None and line.state == "asked"
    assert line.decision.words_only.startswith("acme:vectors made no vectors: ")


async def test_a_slow_server_is_not_waited_for_and_the_decision_says_so(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearness, "PATIENCE", 0.05)
    asked: list[str] = []

    async def silent(request: web.Request) -> web.Response:
        asked.append(request.path)
        await asyncio.sleep(600)  # cancelled when the client leaves
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/embeddings", silent)
    async with serving(app) as url:
        await _not_waited_for(await opens(PLAYS, ECHO, work=True, toml=TOML % ("default", f"{url}/v1")))
    assert asked == ["/v1/embeddings"]


async def _not_waited_for(host: Host) -> None:
    await three(host)
    placed = await place(host, "the garden wants it in green, or what is said of that", "m1")
    assert placed.decision is not None and placed.decision.rule == "model"
    assert placed.decision.words_only == "acme:vectors made no vectors within 0.05 seconds"
    again = await place(host, "and another that no rule is sure of, is it", "m2")
    assert again.decision is not None and again.decision.words_only == "acme:vectors made no vectors a moment ago"


async def test_after_a_rest_it_is_asked_again(opens: Opens) -> None:
    now = [0.0]
    asked: list[int] = []

    async def embed(texts: Any, thread: Thread) -> Any:
        asked.append(len(texts))
        if len(asked) == 1:
            raise nearness.Permanent("no key", code="auth")
        return [[1.0, 0.0]] * len(texts) if len(asked) > 2 else [[1.0]]

    host = await opens(PLAYS, ECHO, work=True, toml='[routing]\nmodel = ""\nagent = "echo"\n')
    await three(host)
    kept, log = host._adapters.conversations, host._log  # pyright: ignore[reportPrivateUsage]
    near = nearness.Nearness(kept, "m", embed, log, lambda: now[0])
    scene = nearness.Scene(tuple(await host.conversing.topics("chat:1", all=True)))
    said, thread = nearness.Spoken("of rivers, rather"), Thread("default", "owner", "chat:1")
    assert (await near.weigh(said, scene, thread)).words_only == "m made no vectors: no key"
    now[0] += nearness.REST - 1
    assert "a moment ago" in (await near.weigh(said, scene, thread)).words_only
    now[0] += 2
    assert (await near.weigh(said, scene, thread)).words_only == "m made 1 vectors of 4 texts"
    now[0] += nearness.REST + 1
    assert (await near.weigh(said, scene, thread)).similar is not None
    assert asked == [4, 4, 4]
    nothing = await near.weigh(nearness.Spoken("  "), scene, thread)
    assert nothing.similar is None and not nothing.words_only


async def test_a_model_of_this_machine_makes_the_vectors(opens: Opens, tmp_path: Any) -> None:
    pytest.importorskip("xllamacpp")
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(folder / "tiny.gguf", TinyModel(pooling=1))
    toml = (
        f'[routing]\nmodel = ""\nagent = "echo"\nembeddings = "llamacpp:tiny"\n[models.llamacpp]\nfolder = "{folder}"\n'
    )
    host = await opens(PLAYS, ECHO, work=True, toml=toml)
    made = await three(host)
    placed = await place(host, "the garden wants it in green, or what is said of that", "m1")
    assert placed.became == "asked" and placed.decision is not None and placed.decision.words_only == ""
    kept = await host._adapters.conversations.meant("llamacpp:tiny", made)  # pyright: ignore[reportPrivateUsage]
    assert {len(one.vector) for one in kept.values()} == {64} and set(kept) == set(made)
