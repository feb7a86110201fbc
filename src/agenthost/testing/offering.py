"""A provider that does all that OpenAI's API has, on loopback, for whatever passes its abilities on."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from agenthost.core.ports import Abilities
from agenthost.models.catalog import Catalog
from agenthost.models.playbook import as_playbook
from agenthost.models.settings import ModelSettings, ProviderSettings
from agenthost.testing.openai_server.service import Service, serving

MODEL = "acme:m"
"""The name of its model."""
SETTINGS = """\
[models.providers.acme]
base-url = "%s"
"""
"""What a host's settings say of it, its address to be filled in."""


@asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    """Its address, while the context is open. It answers `You said` and what was said."""
    playbook = as_playbook({"rules": [{"reply": {"text": "You said {{said}}"}}]})
    async with serving(Service(playbook).application()) as url:
        yield f"{url}/v1"


@asynccontextmanager
async def offering(read: Callable[[str], Awaitable[bytes]]) -> AsyncGenerator[Abilities]:
    """What it does, by our adapter. `read` gives a file's bytes by digest."""

    async def secret(name: str) -> None:
        return None

    async with provider() as url:
        catalog = Catalog(ModelSettings(providers={"acme": ProviderSettings(base_url=url)}), read, {}, secret)
        try:
            yield await catalog.abilities(MODEL)
        finally:
            await catalog.close()
