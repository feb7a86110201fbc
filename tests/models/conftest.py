"""Models against the scripted server, in the test's own loop, over real sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.ids import digest
from agenthost.core.models import ModelCard
from agenthost.models.limits import Limiter
from agenthost.models.openai.connection import Sessions
from agenthost.models.openai.model import OpenAIModel
from agenthost.models.playbook import as_playbook
from agenthost.models.settings import Provider, ProviderSettings
from agenthost.testing.models import PICTURE
from agenthost.testing.openai_server import record
from agenthost.testing.openai_server.service import Mind, Service, serving

KEY = "sk-test-0123456789abcdef"
FILES = {
    digest(PICTURE): PICTURE,
    digest("naïve words".encode()): "naïve words".encode(),
    digest(b"\xff\xfe"): b"\xff\xfe",
}


async def read(id: str) -> bytes:
    return FILES[id]


class Bench:
    """Servers and models of one test."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.sessions = Sessions({})
        stack.push_async_callback(self.sessions.close)

    async def server(self, playbook: dict[str, Any] | Mind, **options: Any) -> str:
        """Serve a playbook, or a mind; the base URL."""
        answers = as_playbook(playbook) if isinstance(playbook, dict) else playbook
        service = Service(answers, self.folder, **options)
        self._stack.callback(service.close)
        return await self._stack.enter_async_context(serving(service.application())) + "/v1"

    async def serve(self, application: Any, **options: Any) -> str:
        """Serve anything; the address."""
        return await self._stack.enter_async_context(serving(application, **options))

    def model(
        self,
        url: str,
        *,
        key: str = "",
        limiter: Limiter | None = None,
        sessions: Sessions | None = None,
        card: ModelCard | None = None,
        kind: Any = OpenAIModel,
        **settings: Any,
    ) -> Any:
        card = card or ModelCard("m", input_price=1.0)
        provider = Provider("acme", ProviderSettings(base_url=url, **settings), key, "ACME_KEY", "ACME_URL")
        return kind(card, provider, sessions or self.sessions, limiter or Limiter(), read)

    async def put(self, content: bytes) -> str:
        """Keep a file that the models can read."""
        FILES[digest(content)] = content
        return digest(content)

    def bodies(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for body in record.bodies(self.folder)]

    def answers(self) -> list[record.Answered]:
        return record.answers(self.folder)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(tmp_path / "record", stack)


Make = Callable[[dict[str, Any]], OpenAIModel]
