"""The port `core.ports.Abilities` over OpenAI's API."""

from collections.abc import Mapping, Sequence

from agenthost.core.models import ModelCard, ModelRequest
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Moderation, ProviderFile, Speech, Transcript
from agenthost.core.parts import Part
from agenthost.models.limits import Limiter
from agenthost.models.openai.connection import Sessions
from agenthost.models.openai.content import Read
from agenthost.models.openai.model import OpenAIModel
from agenthost.models.openai.offers import files, meaning, models, pictures, sound
from agenthost.models.openai.offers.asking import Asking
from agenthost.models.openai.offers.batches import Batches
from agenthost.models.settings import Provider


class OpenAIOffers(OpenAIModel):
    """A model with everything else that its provider does. What the provider lacks raises Unavailable."""

    def __init__(self, card: ModelCard, provider: Provider, sessions: Sessions, limiter: Limiter, read: Read) -> None:
        super().__init__(card, provider, sessions, limiter, read)
        self._asking = Asking(self._base, provider, sessions, self._attempts, self._headers, self._peer)
        self._batches = Batches(self._asking, self._wire, self._shape, read)

    async def offered(self) -> list[models.Offered]:
        """The models that this provider says it has."""
        return await models.offered(self._asking)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return await meaning.embed(self._asking, self._card.name, texts)

    async def moderate(self, parts: Sequence[Part]) -> Moderation:
        return await meaning.moderate(self._asking, self._card.name, parts, self._read)

    async def draw(self, wanted: Drawing) -> Media:
        return await pictures.draw(self._asking, self._card, wanted)

    async def speak(self, wanted: Speech) -> Media:
        return await sound.speak(self._asking, self._card, wanted)

    async def transcribe(self, audio: bytes, media_type: str, language: str = "") -> Transcript:
        return await sound.transcribe(self._asking, self._card, audio, media_type, language)

    async def put_file(self, name: str, content: bytes, purpose: str) -> ProviderFile:
        return await files.put(self._asking, name, content, purpose)

    async def files(self) -> list[ProviderFile]:
        return await files.listed(self._asking)

    async def get_file(self, id: str) -> bytes:
        return await files.get(self._asking, id)

    async def delete_file(self, id: str) -> None:
        await files.delete(self._asking, id)

    async def start_batch(self, requests: Mapping[str, ModelRequest]) -> Batch:
        return await self._batches.start(requests)

    async def batch(self, id: str) -> Batch:
        return await self._batches.get(id)

    async def batches(self) -> list[Batch]:
        return await self._batches.listed()

    async def cancel_batch(self, id: str) -> Batch:
        return await self._batches.cancel(id)
