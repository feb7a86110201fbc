"""What else a provider does besides answering, in tokens and money: the most that a call may take before it is made, and what it
took by what came of it. Pure arithmetic. No token is shorter than a byte."""

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Spend, cost_of, worst_cost
from agenthost.core.errors import BudgetRefused
from agenthost.core.models import ModelCard, ModelRequest, Usage
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Speech, Transcript
from agenthost.core.parts import FilePart, Part, TextPart

LEAST_RATE = 750
"""Bytes a second: 6 kbit/s, the least that Opus codes speech at (RFC 6716, 2.1.1). A recording of so many bytes isn't longer."""
_TEXTS = 256  # in one request; OpenAI takes 2,048, servers on one's own machine fewer
_BYTES = 300_000  # of texts in one request; OpenAI takes 300,000 tokens
_AROUND = 8  # tokens that a model puts around each text, at most
_MILLION = 1_000_000


class Most(Struct, frozen=True):
    """What a call may take at most: tokens, and money in USD (None: its price isn't known). `turns` is how many answers it is."""

    tokens: int
    cost: float | None
    turns: int = 0

    @property
    def spend(self) -> Spend:
        return Spend(self.turns, self.tokens, self.cost or 0.0)


def unpriced(model: str) -> BudgetRefused:
    """That a budget in money can't hold a model whose price isn't known."""
    error = BudgetRefused(
        f"a money budget is set and the price of '{model}' is not known; set input_price and output_price "
        "(for pictures and sound image_price, minute_price or character_price) of this model in agenthost.toml, "
        "or take the cost out of the budget"
    )
    error.code = "price-unknown"
    return error


def requests_of(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts that are to be embedded, as many together as go into one request."""
    some: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if some and (len(some) == _TEXTS or size + length > _BYTES):
            yield some
            some, size = [], 0
        some.append(text)
        size += length
    if some:
        yield some


def most_of_texts(card: ModelCard, texts: Sequence[str]) -> Most:
    """Of vectors."""
    tokens = sum(len(text.encode()) + _AROUND for text in texts)
    return Most(tokens, worst_cost(card, tokens, 0))


def most_of_judging(card: ModelCard, parts: Sequence[Part]) -> Most:
    """Of moderation. The words go once, the pictures one to a request."""
    tokens = _of_parts(card, parts)
    return Most(tokens, worst_cost(card, tokens, 0))


def most_of_drawing(card: ModelCard, wanted: Drawing) -> Most:
    """Of a picture: what the dearest costs, and where tokens have a price, as many as that pays for."""
    given = len(wanted.prompt.encode()) + card.image_tokens * len(wanted.images)
    if card.image_price is None:
        made = card.max_output
    else:
        made = math.ceil(card.image_price * _MILLION / card.output_price) if card.output_price else 0
    cost = card.image_price
    if cost is not None and card.input_price is not None:
        cost += given * card.input_price / _MILLION
    return Most(given + made, cost)


def most_of_speech(card: ModelCard, wanted: Speech) -> Most:
    """Of words that are spoken: characters, which are no tokens."""
    price = card.character_price
    return Most(0, None if price is None else (len(wanted.text) + len(wanted.manner)) * price / _MILLION)


def most_of_hearing(card: ModelCard, size: int) -> Most:
    """Of a recording of so many bytes: by its minutes, or by tokens, of which no call takes more than the model's window."""
    if card.minute_price is not None:
        return Most(0, size / LEAST_RATE / 60 * card.minute_price)
    return Most(card.window + card.max_output, worst_cost(card, card.window, card.max_output))


def most_of_batch(card: ModelCard, requests: Mapping[str, ModelRequest]) -> Most:
    """Of a batch: all of its answers at their longest, at the price of single calls, which is more than a batch's."""
    tokens, cost = 0, 0.0
    unknown = False
    for request in requests.values():
        files = [part for turn in request.turns for part in turn.parts if isinstance(part, FilePart)]
        given = len(msgspec.json.encode(request)) + _of_parts(card, files)
        made = max(0, request.max_output)
        one = worst_cost(card, given, made)
        tokens += given + made
        cost += one or 0.0
        unknown = unknown or one is None
    return Most(tokens, None if unknown else cost, len(requests))


def _of_parts(card: ModelCard, parts: Sequence[Part]) -> int:
    tokens = 0
    for part in parts:
        if isinstance(part, TextPart):
            tokens += len(part.text.encode()) + _AROUND
        elif isinstance(part, FilePart):
            tokens += card.image_tokens if part.media_type.startswith("image/") else max(0, part.size)
        else:
            tokens += len(msgspec.json.encode(part))
    return tokens


# --- what it took; what a provider doesn't tell counts as it was thought --------------------------------------------------


def took_texts(card: ModelCard, most: Most, made: Embeddings) -> Spend:
    """Vectors that came."""
    return _took(card, most, made.usage, None)


def took_media(card: ModelCard, most: Most, made: Media) -> Spend:
    """A picture, or sound, that came."""
    return _took(card, most, made.usage, made.cost)


def took_hearing(card: ModelCard, most: Most, heard: Transcript) -> Spend:
    """A transcript that came."""
    by_time = None if card.minute_price is None or not heard.duration else heard.duration / 60 * card.minute_price
    return _took(card, most, heard.usage, by_time)


def took_batch(card: ModelCard, batch: Batch) -> Spend:
    """A batch that ended: the answers that there are, at the price of single calls."""
    used = [one.answer.usage for one in batch.answers.values() if one.answer is not None]
    return Spend(len(used), sum(each.total for each in used), sum(cost_of(card, each) or 0.0 for each in used))


def _took(card: ModelCard, most: Most, usage: Usage, cost: float | None) -> Spend:
    if cost is None and usage.total:
        cost = cost_of(card, usage)
    tokens = usage.total or most.tokens
    return Spend(most.turns, tokens, (most.cost or 0.0) if cost is None else cost)
