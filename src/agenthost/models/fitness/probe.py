"""The whole probe of one model, told line by line, ending with what was found."""

from collections.abc import AsyncGenerator, Callable
from random import Random, SystemRandom

from msgspec import Struct

from agenthost.core.models import Calling, Fitness, ModelCard, Usage
from agenthost.core.ports import Model, silent
from agenthost.models.fitness import trials
from agenthost.models.fitness.calls import Caller, Refused
from agenthost.models.fitness.trials import Put
from agenthost.models.fitness.window import Reader, sizes

BOUND = 32_768
"""Tokens of the longest text that is tried, unless another bound is given: longer ones cost time and money."""
_QUICK_BOUND = 8_192
_SMALL = 450
"""Tokens of a small question with tools, in and out together, on average."""
_COUNT = 120


class Plan(Struct, frozen=True):
    """How a probe goes: `quick` asks less; `context` is the longest text in tokens (0: a bound that is not dear)."""

    quick: bool = False
    context: int = 0

    def sizes(self, card: ModelCard) -> list[int]:
        """The sizes of long texts."""
        bound = self.context or (_QUICK_BOUND if self.quick else BOUND)
        return sizes(card.window, bound, self.quick)

    def estimate(self, card: ModelCard) -> Usage:
        """About what it will use, where all goes well; a search for an edge takes up to twice as much."""
        small = 8 if self.quick else 12
        pictures = 3 * card.image_tokens if card.images else 0
        return Usage(sum(self.sizes(card)) + small * _SMALL + pictures, small * 120 + 400)


async def probe(
    model: Model,
    put: Put,
    plan: Plan,
    now: Callable[[], float],
    random: Random | None = None,
    notice: Callable[[str], None] = silent,
) -> AsyncGenerator[str | Fitness]:
    """Find out what a model does. `notice` is told what its calls wait for, or do first (load it). Raises what the model raises where nothing can be found out (no key, not there)."""
    random = random or SystemRandom()
    caller = Caller(model, notice)
    card = model.card
    rounds = 1 if plan.quick else 2
    notes: list[str] = []
    expected = plan.estimate(card)
    yield f"this takes about {expected.total:,} tokens{_money(card, expected)}"

    native = await trials.native(caller, random, rounds)
    notes += native.notes
    yield f"native tool calls: {_word(native.works)}{', as text' if native.leaked else ''}; several at once: {_word(native.parallel)}"
    schema, more = await trials.schema(caller, random, rounds)
    notes += more
    yield f"keeps to a JSON schema: {_word(schema)}"
    grammar = schema and not native.works and await trials.calls_by(caller, random, "grammar", rounds)
    if schema and not native.works and not grammar:
        notes.append("it keeps to a JSON schema, but its calls under one aren't those that were asked for")
    fenced = await trials.calls_by(caller, random, "fenced", rounds)
    yield f"tool calls in fences: {_word(fenced)}"
    images: bool | None = None
    if card.images:
        images, more = await trials.images(caller, random, put)
        notes += more
        yield f"sees pictures: {_word(images)}"
    reader = Reader(caller, random, plan.sizes(card), plan.quick)
    async for line in reader.search():
        yield line
    notes += reader.found.remarks.values()
    speeds = await _speeds(caller, reader)
    yield f"speed: {speeds[0]:,.0f} tokens/s in, {speeds[1]:,.0f} tokens/s out"
    yield f"used {caller.used.input:,} tokens in and {caller.used.output:,} out, in {caller.calls} calls{_money(card, caller.used)}"
    calling, none = _calling(native, grammar, fenced)
    if none:
        notes.append("it calls no tool in any way; agents with tools can't use it")
    found = reader.found
    yield Fitness(
        model=card.name,
        at=now(),
        calling=calling,
        native=native.works,
        parallel=native.parallel if native.works else None,
        schema=schema,
        fenced=fenced,
        leaked=native.leaked,
        images=images,
        window=found.read,
        window_cut=found.cut,
        prompt_speed=round(speeds[0], 1),
        output_speed=round(speeds[1], 1),
        first_token=round(speeds[2], 3),
        notes=tuple(notes),
    )


def _calling(native: trials.Native, grammar: bool, fenced: bool) -> tuple[Calling, bool]:
    """How to call the model, and whether there is no way."""
    if native.works:
        return "native", False
    if grammar:
        return "grammar", False
    if native.leaked:
        return "native", False
    return ("fenced", False) if fenced else ("native", True)


async def _speeds(caller: Caller, reader: Reader) -> tuple[float, float, float]:
    """Tokens a second in and out, and seconds to the first token of a short answer."""
    longest = reader.found.longest
    into = longest.answer.usage.input / longest.first if longest and longest.first > 0 else 0.0
    try:
        timed = await caller.ask(f"Count from 1 to {_COUNT}, the numbers parted by spaces.")
    except Refused:
        return into, 0.0, 0.0
    after = timed.whole - timed.first
    took = after if after > timed.whole / 10 else timed.whole  # else it came in one piece
    out = timed.answer.usage.output / took if took > 0 else 0.0
    return into, out, timed.first


def _money(card: ModelCard, usage: Usage) -> str:
    if card.input_price is None or card.output_price is None:
        return ""
    cost = (usage.input * card.input_price + usage.output * card.output_price) / 1_000_000
    return f", about ${cost:.2f}" if cost >= 0.005 else ", less than a cent" if cost else ", for nothing"


def _word(found: bool) -> str:
    return "yes" if found else "no"
