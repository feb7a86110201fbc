"""Models of other providers against the scripted server, in the test's own loop, over real sockets and real SDKs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.models import ModelCard
from agenthost.models.limits import Limiter
from agenthost.models.playbook import as_playbook
from agenthost.models.providers.making import Clients
from agenthost.models.providers.model import ProviderModel
from agenthost.models.settings import Provider, ProviderSettings
from agenthost.testing.openai_server import record
from agenthost.testing.openai_server.service import serving
from agenthost.testing.providers_server.service import ProvidersService
from tests.models.conftest import read

KEY = "sk-ant-test-0123456789abcdef"


class Desk:
    """Servers and models of one test."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack

    async def server(self, playbook: dict[str, Any], **options: Any) -> str:
        """Serve a playbook; the base URL."""
        service = ProvidersService(as_playbook(playbook), self.folder, **options)
        self._stack.callback(service.close)
        return await self.serve(service.application())

    async def serve(self, application: Any) -> str:
        """Serve anything; the address."""
        return await self._stack.enter_async_context(serving(application))

    def model(self, kind: str, url: str, name: str = "m", *, key: str = KEY, **settings: Any) -> ProviderModel:
        clients = Clients({})
        self._stack.push_async_callback(clients.close)
        provider = Provider(kind, ProviderSettings(base_url=url, **settings), key, "ACME_KEY", "ACME_URL")
        return ProviderModel(ModelCard(name), provider, kind, clients, Limiter(), read)

    def bodies(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for body in record.bodies(self.folder)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield Desk(tmp_path / "record", stack)
