"""Finds the model servers that run on this machine, and what they serve."""

import asyncio
from collections.abc import Iterable, Mapping

import aiohttp
import msgspec
from msgspec import Struct

from agenthost.models.settings import LOCAL

_PATIENCE = 0.3  # seconds; a server on the same machine lists its models in a few milliseconds
_MOST_BYTES = 4 * 1024 * 1024


class Served(Struct, frozen=True):
    """A model that a server has. `window` in tokens, where the server says so."""

    id: str
    window: int | None = None


class Found(Struct, frozen=True):
    """A server that answers: its provider's name, its base URL, its models."""

    provider: str
    base_url: str
    models: tuple[Served, ...]

    @property
    def names(self) -> list[str]:
        """The models as AGENTHOST_MODEL takes them."""
        return [f"{self.provider}:{model.id}" for model in self.models]


class _Entry(Struct):
    id: str
    max_model_len: int | None = None  # vLLM


class _List(Struct):
    data: list[_Entry] | None = None


async def find(servers: Mapping[str, str] = LOCAL, patience: float = _PATIENCE) -> list[Found]:
    """Ask every server of `servers` (provider to base URL) at once; those that answer within `patience` seconds."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=patience)) as session:

        async def ask(provider: str, url: str) -> Found | None:
            models = await served(session, url, {})
            return None if models is None else Found(provider, url, models)

        answers = await asyncio.gather(*(ask(provider, url) for provider, url in servers.items()))
    return [found for found in answers if found is not None]


async def served(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> tuple[Served, ...] | None:
    """The models of the server at base URL `url`; None where none answers, or not as OpenAI's API does."""
    try:
        async with session.get(f"{url.rstrip('/')}/models", headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                return None
            content = await _most(response)
        listed = msgspec.json.decode(content, type=_List)
    except (aiohttp.ClientError, OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return _models(listed.data) if listed.data is not None else None


async def _most(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _MOST_BYTES:
            return b""
        chunks.append(chunk)
    return b"".join(chunks)


def _models(entries: Iterable[_Entry]) -> tuple[Served, ...]:
    return tuple(Served(entry.id, entry.max_model_len) for entry in entries if entry.id)
