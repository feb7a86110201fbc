"""The fake provider in this process, with a count of the requests that are open at it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientConnectionResetError, web

from agenthost.core.models import Usage
from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.background import Background
from agenthost.testing.openai_server.record import answers
from agenthost.testing.openai_server.service import Service, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """`open`: requests that somebody waits for; `asked`: the key of each that ever came; `answered`: what the provider itself
    says of each that was answered to its last byte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.open = 0
        self.background = Background()
        self.asked: list[str] = []
        self.url = ""

    @property
    def answered(self) -> dict[str, Usage]:
        """By key."""
        return {answer.key: answer.usage for answer in answers(self._folder)}

    @property
    def made_on(self) -> list[str]:
        """The answers in the background that the provider goes on making."""
        return self.background.going

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.open += 1
        self.asked.append(request.headers.get("Idempotency-Key", ""))
        try:
            return await handler(request)
        except ClientConnectionResetError:
            return web.Response()  # nobody is left to read it
        finally:
            self.open -= 1


@asynccontextmanager
async def provided(playbook: Path, latency: float = 0.0, pause: float = 0.0) -> AsyncGenerator[Provider]:
    """Serve a playbook while the context is open; seconds before the first byte, and between two pieces."""
    folder = playbook.parent / "provider"
    counted = Provider(folder)
    service = Service(load_playbook(playbook), folder, latency, pause, background=counted.background)
    application = service.application()
    application.middlewares.append(counted.count)
    async with serving(application) as url:
        counted.url = f"{url}/v1"
        yield counted
    service.close()
