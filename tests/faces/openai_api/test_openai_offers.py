"""What models' providers do besides answering, through the official Python package."""

import base64
from typing import Any

import openai
import pytest

from agenthost.core.access import Caller
from agenthost.core.budgets import Limits
from agenthost.core.keeping import UsageFilter
from agenthost.core.media import picture_type
from tests.faces.openai_api.conftest import Bench, somebody


async def test_texts_become_vectors_in_either_form(bench: Bench) -> None:
    ask = bench.client.embeddings.create
    whole = await ask(model="fake:embedding", input=["one", "two"], encoding_format="float")
    packed = await ask(model="fake:embedding", input=["one", "two"])  # the package asks for base64 by itself
    assert [each.index for each in whole.data] == [0, 1] and whole.model == "fake:embedding"
    for one, other in zip(whole.data, packed.data, strict=True):
        assert len(one.embedding) == 64
        assert other.embedding == pytest.approx(one.embedding, abs=1e-6)
    assert whole.usage.total_tokens == 2
    (single,) = (await ask(model="fake:embedding", input="one")).data
    assert single.embedding == packed.data[0].embedding
    assert await bench.tasks() == []


async def test_what_is_said_is_judged(bench: Bench) -> None:
    made = await bench.client.moderations.create(model="fake:moderation", input=["a kind word", "another"])
    assert [result.flagged for result in made.results] == [False, False]
    piece: Any = [{"type": "text", "text": "a kind word"}]
    (result,) = (await bench.client.moderations.create(model="fake:moderation", input=piece)).results
    assert not result.flagged


async def test_a_picture_is_drawn(bench: Bench) -> None:
    made = await bench.client.images.generate(model="fake:pictures", prompt="a house", size="1024x1024")
    assert made.data is not None and made.data[0].b64_json is not None
    assert picture_type(base64.b64decode(made.data[0].b64_json)) == "image/png"
    assert made.data[0].revised_prompt == "A drawing: a house"


async def test_words_are_spoken_and_heard_again(bench: Bench) -> None:
    sound = await bench.client.audio.speech.create(
        model="fake:voice", voice="alloy", input="good morning", response_format="wav"
    )
    assert sound.content.startswith(b"RIFF")
    heard = await bench.client.audio.transcriptions.create(model="fake:ears", file=("a.wav", sound.content))
    assert heard.text == "good morning"
    text = await bench.client.audio.transcriptions.create(
        model="fake:ears", file=("a.wav", sound.content), response_format="text"
    )
    assert str(text).strip() == "good morning"


async def test_who_manages_nothing_may_embed_and_moderate_alone(bench: Bench) -> None:
    async with await somebody(bench, "eve", "user") as eve:
        await eve.embeddings.create(model="fake:embedding", input="one")
        with pytest.raises(openai.PermissionDeniedError):
            await eve.images.generate(model="fake:pictures", prompt="a house")
    async with await somebody(bench, "ann", "read-only", ("read",)) as ann:
        with pytest.raises(openai.PermissionDeniedError):
            await ann.embeddings.create(model="fake:embedding", input="one")


async def test_a_budget_without_room_is_a_quota_that_is_used_up_and_nothing_is_sent(bench: Bench) -> None:
    await bench.host.budgets.of(Caller(), bench.host).set("person/eve", Limits(tokens=30))
    async with await somebody(bench, "eve", "user") as eve:
        await eve.embeddings.create(model="fake:embedding", input="one")
        for refused in (
            eve.embeddings.create(model="fake:embedding", input="far too many words for a day"),
            eve.moderations.create(model="fake:moderation", input="far too many words for a day"),
        ):
            with pytest.raises(openai.RateLimitError, match="today's budget of the person 'eve'") as told:
                await refused
            assert (told.value.code, told.value.type) == ("insufficient_quota", "insufficient_quota")
            assert told.value.response.headers["x-should-retry"] == "false"
    await bench.client.embeddings.create(model="fake:embedding", input="far too many words for a day")
    lines = await bench.host.usage(UsageFilter(by=("person",)))
    assert {line.person: (line.calls, line.tokens) for line in lines} == {"eve": (1, 1), "owner": (1, 7)}


@pytest.mark.parametrize("model", ["helper", "nowhere:none", "nothing"])
async def test_a_model_that_does_not_do_it_is_not_found(bench: Bench, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await bench.client.embeddings.create(model=model, input="one")
    assert (missing.value.param, missing.value.code) == ("model", "model_not_found")


async def test_what_a_provider_can_not_be_asked_for_is_refused(bench: Bench) -> None:
    ask, draw, hear = (
        bench.client.embeddings.create,
        bench.client.images.generate,
        bench.client.audio.transcriptions.create,
    )
    sound: Any = ("a.wav", b"RIFF")
    for call, param in (
        (ask(model="fake:embedding", input=[]), "input"),
        (ask(model="fake:embedding", input=["a", ""]), "input"),
        (ask(model="fake:embedding", input=[1, 2]), "input"),
        (ask(model="fake:embedding", input="a", dimensions=3), "dimensions"),
        (bench.client.moderations.create(model="fake:moderation", input=[]), "input"),
        (draw(model="fake:pictures", prompt="a", n=2), "n"),
        (draw(model="fake:pictures", prompt="a", size="large"), "size"),  # pyright: ignore[reportCallIssue, reportArgumentType]
        (draw(model="fake:pictures", prompt="a", response_format="url"), "response_format"),
        (bench.client.audio.speech.create(model="fake:voice", voice="a", input="b", speed=9), "speed"),
        (hear(model="fake:ears", file=sound, response_format="srt"), "response_format"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            await call
        assert refused.value.param == param


async def test_what_is_not_there_says_what_is(bench: Bench) -> None:
    for call in (
        bench.client.batches.list(),
        bench.client.vector_stores.list(),
        bench.client.evals.list(),
    ):
        with pytest.raises(openai.NotFoundError, match="There are chat/completions") as missing:
            await call
        assert (missing.value.code, missing.value.type) == ("unknown_url", "invalid_request_error")
