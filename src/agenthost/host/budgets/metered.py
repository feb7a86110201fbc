"""A provider's abilities, and a model by itself, as somebody pays for them: each call in the ledger and within the budgets."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from agenthost.core.budgets import Spend, cost_of
from agenthost.core.keeping import Keeping
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest, Usage
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Moderation, ProviderFile, Speech, Transcript
from agenthost.core.parts import FilePart, Part
from agenthost.core.paying import (
    Most,
    most_of_batch,
    most_of_drawing,
    most_of_hearing,
    most_of_judging,
    most_of_speech,
    most_of_texts,
    requests_of,
    took_batch,
    took_hearing,
    took_media,
    took_texts,
)
from agenthost.core.ports import Abilities, Model
from agenthost.host.budgets.meter import Meter

T = TypeVar("T")

BATCH = "batch/"
_ENDED = ("ended", "failed", "canceled", "expired")


class Metered:
    """The port `core.ports.Abilities` over another. `name` is what the model was asked for by; `kept` remembers which line of the
    ledger a batch is, which may end days later."""

    def __init__(self, inner: Abilities, name: str, meter: Meter, kept: Keeping) -> None:
        self._inner = inner
        self._name = name
        self._meter = meter
        self._kept = kept

    @property
    def card(self) -> ModelCard:
        return self._inner.card

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """A line of the ledger for each request that it takes."""
        found = [await self._embed(some) for some in requests_of(texts)] if texts else [await self._inner.embed(texts)]
        vectors = tuple(vector for each in found for vector in each.vectors)
        return Embeddings(vectors, found[-1].model, sum((each.usage for each in found), Usage()))

    async def _embed(self, texts: list[str]) -> Embeddings:
        card, most = self.card, most_of_texts(self.card, texts)
        return await self._call(most, lambda: self._inner.embed(texts), lambda made: took_texts(card, most, made))

    async def moderate(self, parts: Sequence[Part]) -> Moderation:
        most = most_of_judging(self.card, parts)
        one = sum(isinstance(part, FilePart) for part in parts) < 2
        return await self._call(most, lambda: self._inner.moderate(parts), lambda _: most.spend, one)

    async def draw(self, wanted: Drawing) -> Media:
        card, most = self.card, most_of_drawing(self.card, wanted)
        return await self._call(most, lambda: self._inner.draw(wanted), lambda made: took_media(card, most, made))

    async def speak(self, wanted: Speech) -> Media:
        card, most = self.card, most_of_speech(self.card, wanted)
        return await self._call(most, lambda: self._inner.speak(wanted), lambda made: took_media(card, most, made))

    async def transcribe(self, audio: bytes, media_type: str, language: str = "") -> Transcript:
        card, most = self.card, most_of_hearing(self.card, len(audio))
        hear = partial(self._inner.transcribe, audio, media_type, language)
        return await self._call(most, hear, lambda heard: took_hearing(card, most, heard))

    async def _call(
        self, most: Most, making: Callable[[], Awaitable[T]], took: Callable[[T], Spend], whole: bool = True
    ) -> T:
        return await self._meter.call(self._name, most, making, took, whole)

    # --- what takes a day ---

    async def start_batch(self, requests: Mapping[str, ModelRequest]) -> Batch:
        """One line of the ledger for all of it, settled when somebody looks at it after its end."""
        called = await self._meter.reserve(self._name, most_of_batch(self.card, requests))
        batch = await self._meter.make(called, self._name, self._inner.start_batch(requests))
        await self._kept.change({f"{BATCH}{batch.id}": msgspec.json.encode(called)})
        return batch

    async def batch(self, id: str) -> Batch:
        return await self._looked_at(await self._inner.batch(id))

    async def batches(self) -> list[Batch]:
        return await self._inner.batches()

    async def cancel_batch(self, id: str) -> Batch:
        return await self._inner.cancel_batch(id)

    async def _looked_at(self, batch: Batch) -> Batch:
        key = f"{BATCH}{batch.id}"
        if batch.state in _ENDED and (called := (await self._kept.changed()).get(key)) is not None:
            spent = took_batch(self.card, batch)
            await self._meter.settle(msgspec.json.decode(called, type=str), self._name, spent)
            await self._kept.change({key: None})
        return batch

    # --- what costs nothing by the call ---

    async def put_file(self, name: str, content: bytes, purpose: str) -> ProviderFile:
        return await self._inner.put_file(name, content, purpose)

    async def files(self) -> list[ProviderFile]:
        return await self._inner.files()

    async def get_file(self, id: str) -> bytes:
        return await self._inner.get_file(id)

    async def delete_file(self, id: str) -> None:
        await self._inner.delete_file(id)


class MeteredModel:
    """The port `core.ports.Model` over another, for calls that no task makes: each answer is a turn."""

    def __init__(self, inner: Model, name: str, meter: Meter) -> None:
        self._inner = inner
        self._name = name
        self._meter = meter

    @property
    def card(self) -> ModelCard:
        return self._inner.card

    async def answer(self, request: ModelRequest, tell: Callable[[Delta], None]) -> ModelAnswer:
        card, most = self.card, most_of_batch(self.card, {"": request})

        def took(answer: ModelAnswer) -> Spend:
            return (
                Spend(1, answer.usage.total, cost_of(card, answer.usage) or 0.0) if answer.usage.total else most.spend
            )

        return await self._meter.call(self._name, most, lambda: self._inner.answer(request, tell), took)
