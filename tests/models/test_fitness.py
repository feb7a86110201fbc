"""Probes over the wire: an honest server gets a clean card, and each way of lying is found."""

import asyncio
import io
from collections.abc import AsyncGenerator, Callable
from random import Random
from typing import Any

import pytest
from PIL import Image

from agenthost.core.errors import AgentHostError, BadInput, Temporary
from agenthost.core.models import Fitness, ModelCard
from agenthost.models.fitness.aloud import aloud
from agenthost.models.fitness.found import as_found, calls_tools, usable
from agenthost.models.fitness.haystack import DEPTHS, GATES, haystack
from agenthost.models.fitness.pictures import COLOURS, puzzles, squares, written
from agenthost.models.fitness.probe import Plan, probe
from agenthost.models.fitness.prober import Prober
from agenthost.models.fitness.store import FitnessFiles
from agenthost.models.fitness.window import sizes
from agenthost.testing.openai_server.mind import SmallModel, Vices
from tests.models.conftest import Bench

CARD = ModelCard("m", window=16_000, input_price=2.0, output_price=8.0, image_tokens=800)


class Probed:
    """What a probe told and found."""

    def __init__(self, lines: list[str], fitness: Fitness) -> None:
        self.lines = lines
        self.fitness = fitness

    def notes(self) -> str:
        return "\n".join(self.fitness.notes)


async def probed(
    bench: Bench, vices: Vices, plan: Plan | None = None, card: ModelCard = CARD, **settings: Any
) -> Probed:
    url = await bench.server(SmallModel(vices), **settings)
    items: list[Any] = [
        item async for item in probe(bench.model(url, card=card), bench.put, plan or Plan(), lambda: 1000.0, Random(7))
    ]
    assert all(isinstance(item, str) for item in items[:-1])
    return Probed(items[:-1], items[-1])


async def test_an_honest_server_gets_a_clean_card(bench: Bench) -> None:
    found = await probed(bench, Vices())
    fitness = found.fitness
    assert fitness.notes == ()
    assert (fitness.calling, fitness.native, fitness.parallel, fitness.leaked) == ("native", True, True, False)
    assert (fitness.schema, fitness.fenced, fitness.images) == (True, True, True)
    assert (fitness.window, fitness.window_cut) == (14_776, 0)
    assert fitness.prompt_speed > 0 and fitness.output_speed > 0 and fitness.first_token > 0
    assert as_found(CARD, fitness) == CARD


async def test_it_says_before_what_it_will_use_and_after_what_it_used(bench: Bench) -> None:
    found = await probed(bench, Vices())
    assert "about" in found.lines[0] and "tokens" in found.lines[0] and "$" in found.lines[0]
    used = sum(answered.usage.input for answered in bench.answers())
    assert f"used {used:,} tokens in" in found.lines[-1] and "$" in found.lines[-1]
    expected = Plan().estimate(CARD)
    assert 0.7 < used / expected.input < 1.3


async def test_tools_that_are_claimed_and_ignored_are_found_and_a_grammar_takes_their_place(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="ignored"))
    assert (found.fitness.native, found.fitness.calling, found.fitness.leaked) == (False, "grammar", False)
    assert "answered in words" in found.notes()


async def test_without_tools_and_schema_fences_take_their_place(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="ignored", schema="ignored"))
    assert (found.fitness.native, found.fitness.schema, found.fitness.calling) == (False, False, "fenced")
    assert "didn't keep to it" in found.notes()
    card = as_found(CARD, found.fitness)
    assert card.tools and not card.structured


async def test_a_model_that_calls_tools_in_no_way_is_said_to_have_none(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="ignored", schema="ignored", fences=False))
    assert (found.fitness.native, found.fitness.fenced, found.fitness.calling) == (False, False, "native")
    assert "calls no tool in any way" in found.notes()
    assert not as_found(CARD, found.fitness).tools


async def test_calls_that_come_as_text_are_read_and_said_to_be_text(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="text", schema="ignored", fences=False))
    assert (found.fitness.native, found.fitness.leaked, found.fitness.calling) == (False, True, "native")
    assert "as text" in found.notes()
    assert as_found(CARD, found.fitness).tools


async def test_malformed_arguments_are_mended_and_count(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="malformed"))
    assert (found.fitness.native, found.fitness.calling) == (True, "native")


async def test_one_call_where_several_are_asked_for_is_found(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="one"))
    assert (found.fitness.native, found.fitness.parallel) == (True, False)
    assert "of three calls asked for at once, 1 came" in found.notes()


async def test_tools_that_are_refused_are_said_to_be(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="refused"))
    assert (found.fitness.native, found.fitness.calling) == (False, "grammar")
    assert "does not support tools" in found.notes()


async def test_results_that_never_reach_the_model_are_found(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="deaf"))
    assert (found.fitness.native, found.fitness.calling) == (False, "grammar")
    assert "doesn't see what a tool returned" in found.notes()


@pytest.mark.parametrize("uncounted", [False, True], ids=["counted", "uncounted"])
async def test_a_context_that_is_cut_without_a_word_is_found(bench: Bench, uncounted: bool) -> None:
    found = await probed(bench, Vices(context=4096, uncounted=uncounted))
    fitness = found.fitness
    assert 3_300 <= fitness.window <= 4_096
    assert fitness.window < fitness.window_cut <= 4_500
    assert "0 %" in found.notes()
    assert ("cuts without a word" in found.notes()) != uncounted
    assert as_found(CARD, fitness).window == fitness.window


async def test_a_context_that_is_refused_beyond_its_size_is_found(bench: Bench) -> None:
    found = await probed(bench, Vices(context=6000, loud=True))
    assert 5_200 <= found.fitness.window <= 6_000 < found.fitness.window_cut + 300
    assert "is refused" in found.notes()


@pytest.mark.parametrize("vice", ["guessed", "refused"])
async def test_images_that_are_claimed_and_not_seen_are_found(bench: Bench, vice: Any) -> None:
    found = await probed(bench, Vices(images=vice))
    assert found.fitness.images is False
    assert not as_found(CARD, found.fitness).images
    assert "0 of 3" in found.notes() or "a picture was refused" in found.notes()


async def test_images_that_are_not_claimed_are_not_tried(bench: Bench) -> None:
    found = await probed(bench, Vices(images="refused"), card=ModelCard("m", window=16_000, images=False))
    assert found.fitness.images is None
    assert "a picture" not in found.notes()


@pytest.mark.parametrize("vice", ["ignored", "refused"])
async def test_a_schema_that_is_claimed_and_not_kept_is_found(bench: Bench, vice: Any) -> None:
    found = await probed(bench, Vices(schema=vice))
    assert found.fitness.schema is False
    assert found.fitness.calling == "native"
    assert not as_found(CARD, found.fitness).structured


async def test_a_quick_probe_uses_far_less_and_finds_the_same_lies(bench: Bench) -> None:
    found = await probed(bench, Vices(tools="ignored", context=4096, images="guessed"), Plan(quick=True))
    assert (found.fitness.native, found.fitness.images) == (False, False)
    assert found.fitness.window <= 4096 <= found.fitness.window_cut
    assert Plan(quick=True).estimate(CARD).total < Plan().estimate(CARD).total / 1.8


async def test_the_window_is_tried_up_to_the_bound_that_is_given(bench: Bench) -> None:
    found = await probed(bench, Vices(), Plan(context=3_000))
    assert (found.fitness.window, found.fitness.window_cut) == (3_000, 0)
    assert as_found(CARD, found.fitness).window == CARD.window


async def test_a_wrong_key_ends_the_probe(bench: Bench) -> None:
    with pytest.raises(AgentHostError) as caught:
        await probed(bench, Vices(), key="another")
    assert caught.value.code == "auth"


async def test_an_answer_that_is_not_streamed_is_probed_too(bench: Bench) -> None:
    url = await bench.server(SmallModel())
    model = bench.model(url, card=CARD, stream=False)
    items = [item async for item in probe(model, bench.put, Plan(quick=True), lambda: 1.0, Random(1))]
    assert isinstance(items[-1], Fitness) and items[-1].native and items[-1].notes == ()


def test_pictures_are_what_any_program_sees_and_differ_each_time() -> None:
    with Image.open(io.BytesIO(squares(["red", "blue"]))) as picture:
        picture.load()
        assert picture.convert("RGB").getpixel((50, 50)) == COLOURS["red"]
        assert picture.convert("RGB").getpixel((130, 50)) == COLOURS["blue"]
    with Image.open(io.BytesIO(written("K7"))) as picture:
        assert picture.size == (10 * (2 * 6 + 2), 90)
    assert len({puzzle.answer for seed in range(20) for puzzle in puzzles(Random(seed))}) > 50


@pytest.mark.parametrize("size", [1_000, 30_000])
def test_hidden_words_stand_at_their_depths_once(size: int) -> None:
    hay = haystack(size, Random(3))
    lines = hay.text.split("\n")
    assert abs(len(hay.text) - size) < 400
    for gate, depth in zip(GATES, DEPTHS, strict=True):
        assert hay.text.count(hay.codes[gate]) == 1
        at = next(number for number, line in enumerate(lines) if hay.codes[gate] in line)
        assert abs(at / (len(lines) - 1) * 100 - depth) < 30 / max(1, len(lines) / 20)
    assert hay.missing(hay.text.lower()) == ()
    assert hay.missing("north: " + hay.codes["north"]) == DEPTHS[1:]


@pytest.mark.parametrize("window", [1_500, 4_096, 8_192, 200_000])
def test_sizes_grow_to_the_bound_and_leave_room_for_the_answer(window: int) -> None:
    tried = sizes(window, 32_768, False)
    assert tried == sorted(set(tried))
    assert tried[-1] == max(1_000, min(32_768, window - 200 - min(1_024, window // 4)))


def test_what_was_claimed_counts_only_where_it_was_found() -> None:
    lies = Fitness("m", 1.0, "fenced", native=False, schema=False, images=False, window=3_900, window_cut=4_200)
    card = as_found(CARD, lies)
    assert (card.calling, card.window, card.images, card.structured, card.tools) == (
        "fenced",
        3_900,
        False,
        False,
        True,
    )
    assert as_found(CARD, None) == CARD
    modest = ModelCard("m", window=2_000, images=False, tools=False)
    better = as_found(modest, Fitness("m", 1.0, native=True, images=True, window=9_000))
    assert (better.window, better.images, better.tools) == (2_000, False, True)
    assert not calls_tools(Fitness("m", 1.0, native=False))
    assert usable(ModelCard("m", tools=False, calling="fenced")).tools
    assert not usable(ModelCard("m", tools=False)).tools


@pytest.mark.parametrize("name", ["acme:m", "ollama:hf.co/a/b:Q4", "../../etc/passwd", "ü" * 300, "..", "a.json"])
async def test_what_was_found_is_kept_by_any_name_within_the_folder(tmp_path: Any, name: str) -> None:
    files = FitnessFiles(tmp_path / "fitness")
    assert await files.get(name) is None
    fitness = Fitness("m", 1.0, "grammar", notes=("so",))
    await files.put(name, fitness)
    await files.put("another", Fitness("n", 2.0))
    assert await files.get(name) == fitness
    assert len(list((tmp_path / "fitness").iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["fitness"]


async def test_a_spoilt_file_says_what_to_do(tmp_path: Any) -> None:
    files = FitnessFiles(tmp_path)
    await files.put("m", Fitness("m", 1.0))
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(BadInput, match="agenthost model probe m"):
        await files.get("m")


async def test_a_probe_that_nobody_waits_for_ends_and_one_at_a_time_is_made(bench: Bench) -> None:
    class Only:
        """A catalogue of one model."""

        kept: list[Fitness] = []  # noqa: RUF012 - of this test alone

        async def bare(self, name: str) -> Any:
            await asyncio.sleep(0)  # a catalogue reads files
            return bench.model(url, card=CARD)

        async def keep(self, name: str, fitness: Fitness) -> None:
            self.kept.append(fitness)

    url = await bench.server(SmallModel())
    prober = Prober(Only(), bench.put, lambda: 1.0)
    left: Any = prober.probe("m", quick=True)
    assert "this takes" in await anext(left)
    with pytest.raises(BadInput, match="being probed already"):
        await anext(prober.probe("m"))
    await left.aclose()
    assert Only.kept == []
    both: list[Any] = [prober.probe("m", quick=True) for _ in range(2)]
    first, second = await asyncio.gather(*map(anext, both), return_exceptions=True)
    assert "this takes" in str(first)
    assert isinstance(second, BadInput)
    await both[0].aclose()
    items = [item async for item in prober.probe("m", quick=True)]
    assert Only.kept == [items[-1]]


async def test_what_is_told_meanwhile_comes_at_once_and_in_order_and_nothing_goes_on_unheard() -> None:
    ended: list[str] = []
    go = asyncio.Event()

    async def work(tell: Callable[[str], None]) -> AsyncGenerator[int]:
        try:
            for number in range(3):
                tell("loading")
                tell("loading")
                if number == 1:
                    await go.wait()
                yield number
            raise Temporary("it broke")
        finally:
            ended.append("ended")

    heard = aloud(work)
    assert [await anext(heard) for _ in range(2)] == ["loading", 0]
    go.set()
    assert [await anext(heard) for _ in range(2)] == [1, 2]
    with pytest.raises(Temporary, match="it broke"):
        await anext(heard)
    go.clear()
    left = aloud(work)
    assert await anext(left) == "loading"
    await left.aclose()
    assert ended == ["ended", "ended"]
