"""A local model behind the port `core.ports.Model`: a turn at its child, and OpenAI's wire to it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from agenthost.core.errors import Temporary
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest
from agenthost.models.limits import Limiter
from agenthost.models.llamacpp.backend import Start
from agenthost.models.llamacpp.queue import who_of
from agenthost.models.llamacpp.server import Running, Server
from agenthost.models.openai.content import Read
from agenthost.models.openai.model import OpenAIModel
from agenthost.models.settings import Provider, ProviderSettings

_SILENCE = 3600.0  # seconds: a long prompt takes a slow processor many minutes before the first word
_NOTICED = 2.0  # seconds within which the loop has heard of a child's end


class LocalModel:
    """One GGUF under one name. Raises what `Server.turn` and `OpenAIModel.answer` raise; where the child dies in the middle
    of an answer, Temporary with `sent`, and the next call starts it again."""

    def __init__(self, server: Server, card: ModelCard, extra: Mapping[str, Any], read: Read) -> None:
        self._server = server
        self._start = server.start
        self._card = card
        self._extra = dict(extra)
        self._read = read
        self._wire: tuple[Running, OpenAIModel] | None = None

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def refused(self) -> bool:
        """Whether another is to be made of its name: its file is another one now."""
        return self._server.start is not self._start

    async def answer(self, request: ModelRequest, tell: Callable[[Delta], None]) -> ModelAnswer:
        async with self._server.turn(who_of(request.metadata), tell) as running:
            try:
                answer = await self._at(running).answer(request, tell)
            except Temporary as error:
                raise await explained(error, running, self._card.name) from None
        self._server.answered()
        return answer

    def _at(self, running: Running) -> OpenAIModel:
        if self._wire is None or self._wire[0] is not running:
            # llama.cpp drops a connection after an answer without saying so; a new one costs nothing on loopback.
            headers = {"Connection": "close"}
            settings = ProviderSettings(
                base_url=str(running.base), wire="chat", idle_timeout=_SILENCE, extra=self._extra, headers=headers
            )
            provider = Provider("llama.cpp", settings, running.key)
            self._wire = running, OpenAIModel(self._card, provider, running.sessions, Limiter(), self._read)
        return self._wire[1]


async def explained(error: Temporary, running: Running, name: str) -> Temporary:
    """The failure, and that the child's end is what it came of, where it is."""
    child = running.child
    if error.code in ("cut", "disconnected", "unreachable", "bad-answer"):
        await asyncio.wait([child.ended], timeout=_NOTICED)
    if child.alive:
        return error
    said = f" It said: {child.last_words}" if child.last_words else ""
    return Temporary(
        f"llama.cpp {child.ending} in the middle of an answer of {name}. It is started again.{said}",
        code="model-ended",
        sent=error.sent,
    )


def card_of(start: Start) -> ModelCard:
    """What a local model can do; it costs nothing. A projector lets it see; its calls need a template that knows tools."""
    plan = start.plan
    return ModelCard(
        start.name,
        window=plan.context,
        max_output=max(256, plan.context // 4),
        images=start.projector is not None,
        tools="tools" in start.header.chat_template or bool(start.settings.chat_template),
        calling="native" if "tools" in start.header.chat_template or start.settings.chat_template else "grammar",
        input_price=0.0,
        output_price=0.0,
        cached_price=0.0,
    )
