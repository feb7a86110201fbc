"""The fake provider in this process, with a count of the requests that are open at it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientConnectionResetError, web

from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.service import Service, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """`open`: requests that somebody waits for; `asked`: all that ever came."""

    def __init__(self) -> None:
        self.open = 0
        self.asked = 0
        self.url = ""

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.open += 1
        self.asked += 1
        try:
            return await handler(request)
        except ClientConnectionResetError:
            return web.Response()  # nobody is left to read it
        finally:
            self.open -= 1


@asynccontextmanager
async def provided(playbook: Path) -> AsyncGenerator[Provider]:
    """Serve a playbook while the context is open."""
    counted = Provider()
    service = Service(load_playbook(playbook))
    application = service.application()
    application.middlewares.append(counted.count)
    async with serving(application) as url:
        counted.url = f"{url}/v1"
        yield counted
    service.close()
