"""What else a provider does besides answering: which adapter says so, and what is said where there is nothing."""

from collections.abc import Mapping, Sequence
from typing import NoReturn

from agenthost.core.errors import Unavailable
from agenthost.core.models import ModelCard, ModelRequest
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Moderation, ProviderFile, Speech, Transcript
from agenthost.core.parts import Part
from agenthost.core.ports import Abilities, Model

_SERVER = "one of openai, or of a server of your own that speaks this part of OpenAI's API"
_INSTEAD = {
    "embeddings": "one of openai, or a model of this machine (llamacpp)",
    "moderation": "openai:omni-moderation-latest",
    "pictures": _SERVER,
    "speech": _SERVER,
    "transcription": _SERVER,
    "files": "one of openai",
    "batches": "one of openai",
}


def abilities_of(name: str, model: Model) -> Abilities:
    """What else the provider of `model` does; `name` is what the model was asked for by."""
    own = getattr(model, "abilities", None)
    if own is not None:
        made: Abilities = own()
        return made
    from agenthost.models.openai.model import OpenAIModel

    if not isinstance(model, OpenAIModel):
        return NoAbilities(name)
    from agenthost.models.openai.offers import OpenAIOffers

    return model.another(OpenAIOffers)


class NoAbilities:
    """The port `core.ports.Abilities` for a provider that does nothing but answer. One that does some of it puts that
    in the place of what is here, and the rest is plainly said to be missing. `who`: what it is called then."""

    def __init__(self, name: str, card: ModelCard | None = None, who: str = "") -> None:
        self._card = card or ModelCard(name)
        self._who = who or f"the provider of '{name}'"

    @property
    def card(self) -> ModelCard:
        return self._card

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self._lacks("embeddings")

    async def moderate(self, parts: Sequence[Part]) -> Moderation:
        self._lacks("moderation")

    async def draw(self, wanted: Drawing) -> Media:
        self._lacks("pictures")

    async def speak(self, wanted: Speech) -> Media:
        self._lacks("speech")

    async def transcribe(self, audio: bytes, media_type: str, language: str = "") -> Transcript:
        self._lacks("transcription")

    async def put_file(self, name: str, content: bytes, purpose: str) -> ProviderFile:
        self._lacks("files")

    async def files(self) -> list[ProviderFile]:
        self._lacks("files")

    async def get_file(self, id: str) -> bytes:
        self._lacks("files")

    async def delete_file(self, id: str) -> None:
        self._lacks("files")

    async def start_batch(self, requests: Mapping[str, ModelRequest]) -> Batch:
        self._lacks("batches")

    async def batch(self, id: str) -> Batch:
        self._lacks("batches")

    async def batches(self) -> list[Batch]:
        self._lacks("batches")

    async def cancel_batch(self, id: str) -> Batch:
        self._lacks("batches")

    def _lacks(self, what: str) -> NoReturn:
        """Raises Unavailable."""
        raise Unavailable(f"{self._who} has no {what} here. Name another model for it: {_INSTEAD[what]}.")
