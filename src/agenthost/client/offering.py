"""What else a model's provider does, through the host that has the key."""

from collections.abc import Mapping, Sequence
from typing import Any

from agenthost.client.transport import Transport, path_of
from agenthost.core.models import ModelCard, ModelRequest
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Moderation, ProviderFile, Speech, Transcript
from agenthost.core.parts import Part
from agenthost.wire.bodies import encode
from agenthost.wire.offering import ABILITIES


class RemoteAbilities:
    """The port `core.ports.Abilities` of the model `name` at a host. Raises what the host raises."""

    def __init__(self, transport: Transport, name: str, card: ModelCard) -> None:
        self._transport = transport
        self._name = name
        self._card = card

    @property
    def card(self) -> ModelCard:
        return self._card

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return await self._do("embed", texts)

    async def moderate(self, parts: Sequence[Part]) -> Moderation:
        return await self._do("moderate", parts)

    async def draw(self, wanted: Drawing) -> Media:
        return await self._do("draw", wanted)

    async def speak(self, wanted: Speech) -> Media:
        return await self._do("speak", wanted)

    async def transcribe(self, audio: bytes, media_type: str, language: str = "") -> Transcript:
        return await self._do("transcribe", audio, media_type, language)

    async def put_file(self, name: str, content: bytes, purpose: str) -> ProviderFile:
        return await self._do("put_file", name, content, purpose)

    async def files(self) -> list[ProviderFile]:
        return await self._do("files")

    async def get_file(self, id: str) -> bytes:
        return await self._do("get_file", id)

    async def delete_file(self, id: str) -> None:
        await self._do("delete_file", id)

    async def start_batch(self, requests: Mapping[str, ModelRequest]) -> Batch:
        return await self._do("start_batch", requests)

    async def batch(self, id: str) -> Batch:
        return await self._do("batch", id)

    async def batches(self) -> list[Batch]:
        return await self._do("batches")

    async def cancel_batch(self, id: str) -> Batch:
        return await self._do("cancel_batch", id)

    async def _do(self, what: str, *arguments: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        path = path_of("models", self._name, "abilities", what)
        content = await self._transport.call("POST", path, data=encode(arguments), headers=headers)
        result = ABILITIES[what].result
        return content if result is bytes else self._transport.decode(content, result)
