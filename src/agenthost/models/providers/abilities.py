"""What else providers behind pydantic-ai do: embeddings, by its models for them, and the list of their models."""

import asyncio
from collections.abc import Sequence
from typing import get_args

from pydantic_ai.embeddings import EmbeddingModel, OpenAIEmbeddingsCompatibleProvider, infer_embedding_model
from pydantic_ai.exceptions import UserError

from agenthost.core.errors import AgentHostError, Permanent, Unavailable
from agenthost.core.models import ModelCard, Usage
from agenthost.core.offers import Embeddings
from agenthost.models.abilities import NoAbilities
from agenthost.models.attempts import BYTES_A_TOKEN, Attempts
from agenthost.models.openai.failures import Peer
from agenthost.models.providers import failures
from agenthost.models.providers.making import Clients
from agenthost.models.settings import Provider

_TOGETHER = 64  # texts in one request; Cohere takes 96, Google 100, others more
_OWN = frozenset({"bedrock", "cohere", "google", "google-cloud"})


def embeds(kind: str) -> str:
    """Whether pydantic-ai's provider `kind` embeds: `yes`; `maybe` where it speaks OpenAI's API, and only the provider
    knows whether this part of it; `no`."""
    if kind in _OWN:
        return "yes"
    compatible = OpenAIEmbeddingsCompatibleProvider
    maybe = {name for each in get_args(compatible) for name in get_args(each.__value__)}
    return "maybe" if kind in maybe else "no"


class ProviderAbilities(NoAbilities):
    """The port `core.ports.Abilities` for a provider of `kind`."""

    def __init__(
        self, card: ModelCard, provider: Provider, kind: str, clients: Clients, attempts: Attempts, peer: Peer
    ) -> None:
        super().__init__(f"{provider.name}:{card.name}", card)
        self._provider = provider
        self._kind = kind
        self._clients = clients
        self._attempts = attempts
        self._peer = peer
        self._made: EmbeddingModel | None = None

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """A vector for each text, asked for in as many requests as it takes."""
        if embeds(self._kind) == "no":
            self._lacks("embeddings")
        made = await self._model()
        vectors: list[tuple[float, ...]] = []
        used = 0
        for at in range(0, len(texts), _TOGETHER):
            some = list(texts[at : at + _TOGETHER])
            given = sum(len(text.encode()) for text in some) // BYTES_A_TOKEN + 1
            async with self._attempts.attempt(given) as attempt:
                found, counted = await self._ask(made, some)
                attempt.used = counted or given
            vectors += found
            used += counted or given
        if len({len(vector) for vector in vectors}) > 1 or not all(vectors):
            raise failures.bad_answer("its vectors are empty or not of one length", self._peer)
        return Embeddings(tuple(vectors), self._card.name, Usage(used))

    async def _model(self) -> EmbeddingModel:
        if self._made is None:
            provider = await self._clients.provider(self._provider, self._kind)
            name = f"{self._kind}:{self._card.name}"
            try:
                self._made = await asyncio.to_thread(infer_embedding_model, name, provider_factory=lambda _: provider)
            except (UserError, ImportError) as error:
                raise Unavailable(f"'{self._provider.name}:{self._card.name}' can't embed: {error}") from None
        return self._made

    async def _ask(self, made: EmbeddingModel, texts: list[str]) -> tuple[list[tuple[float, ...]], int]:
        try:
            found = await made.embed(texts, input_type="document")
        except Exception as error:  # noqa: BLE001 # an SDK raises whatever it likes
            problem: AgentHostError = failures.failed(error, self._peer, False)
        else:
            if len(found.embeddings) != len(texts):
                reason = f"it holds {len(found.embeddings)} vectors for {len(texts)} texts"
                raise failures.bad_answer(reason, self._peer)
            return [tuple(map(float, vector)) for vector in found.embeddings], found.usage.input_tokens or 0
        if isinstance(problem, Permanent) and problem.code == "not-found":
            problem = Unavailable(
                f"{self._peer.name} has no embeddings by the model {self._card.name}: {problem.message} Name a model for "
                "embeddings, of this provider or another one."
            )
        # Raised out here so that it has no context: an error of an SDK's can hold the request's headers.
        raise problem.with_traceback(None)
