"""A model as the loop is given it: called in the way that its card says, its answers mended."""

import asyncio
from collections.abc import Callable
from typing import cast

from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest
from agenthost.core.ports import Model, Resumable
from agenthost.models.dialects import fenced, grammar
from agenthost.models.dialects.repair import repair
from agenthost.models.dialects.streams import Answer, Plain, Telling

Tell = Callable[[Delta], None]

_LONG = 100_000
"""Characters of an answer whose reading may hold others up for longer than a moment: it is read in a thread."""


def dress(request: ModelRequest, card: ModelCard) -> ModelRequest:
    """The request in the form that the model takes."""
    if card.calling == "grammar":
        return grammar.dress(request)
    return fenced.dress(request) if card.calling == "fenced" else request


def undress(answer: ModelAnswer, request: ModelRequest, card: ModelCard, thought: str = "") -> ModelAnswer:
    """The answer read back and mended. `request` is the one that was dressed; `thought`: what the model thought
    aloud, where its provider tells."""
    if card.calling == "grammar":
        return grammar.undress(answer, request, thought)
    if card.calling == "fenced":
        return fenced.undress(answer, request, thought)
    return repair(answer, request, thought=thought)


class Fitted:
    """A model behind the port, with the card as it was found to be."""

    def __init__(self, model: Model, card: ModelCard) -> None:
        self._model = model
        self._card = card

    def __repr__(self) -> str:
        return f"Fitted({self._model!r}, {self._card.calling!r})"

    @property
    def card(self) -> ModelCard:
        return self._card

    async def answer(self, request: ModelRequest, tell: Tell) -> ModelAnswer:
        telling = self._telling(request, tell)
        answer = await self._model.answer(dress(request, self._card), telling.take)
        return await self._told(answer, request, telling)

    async def begin(self, request: ModelRequest) -> str:
        """Start an answer in the background (`card.background`)."""
        return await cast(Resumable, self._model).begin(dress(request, self._card))

    async def cancel(self, handle: str) -> None:
        """As the model's own."""
        await cast(Resumable, self._model).cancel(handle)

    async def resume(self, handle: str, request: ModelRequest, tell: Tell) -> ModelAnswer:
        """Wait for an answer that was begun."""
        telling = self._telling(request, tell)
        answer = await cast(Resumable, self._model).resume(handle, dress(request, self._card), telling.take)
        return await self._told(answer, request, telling)

    def _telling(self, request: ModelRequest, tell: Tell) -> Telling:
        return Telling(
            tell,
            Answer(tell) if self._card.calling == "grammar" and request.tools else Plain(tell, bool(request.tools)),
        )

    async def _told(self, answer: ModelAnswer, request: ModelRequest, telling: Telling) -> ModelAnswer:
        if len(answer.text) + len(telling.thought) > _LONG:
            mended = await asyncio.to_thread(undress, answer, request, self._card, telling.thought)
        else:
            mended = undress(answer, request, self._card, telling.thought)
        telling.finish(mended)
        return mended
