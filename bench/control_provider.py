"""The scripted provider in the measuring process: when it was asked, what for, and how many streams of a task it has open."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientConnectionResetError, web

from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.heard import metadata_of
from agenthost.testing.openai_server.service import Service, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """By the id of the root task: `streams` that are open, and when it was `asked` (`time.perf_counter`)."""

    def __init__(self) -> None:
        self.streams = Counter[str]()
        self.asked = defaultdict[str, list[float]](list)
        self.url = ""
        self._hearing: dict[bytes, asyncio.Future[float]] = {}

    def hears(self, word: str) -> asyncio.Future[float]:
        """When a request first has this word in it."""
        found = self._hearing[word.encode()] = asyncio.get_running_loop().create_future()
        return found

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        now, body = time.perf_counter(), await request.read()
        root = metadata_of(request.headers).get("task", "").partition(".")[0]
        self.streams[root] += 1
        self.asked[root].append(now)
        for word in [word for word in self._hearing if word in body]:
            self._hearing.pop(word).set_result(now)
        try:
            return await handler(request)
        except ClientConnectionResetError:
            return web.Response()  # nobody is left to read it
        finally:
            self.streams[root] -= 1


@asynccontextmanager
async def provided(file: Path, playbook: str) -> AsyncGenerator[Provider]:
    """Serve a playbook, kept as `file`, while the context is open."""
    file.write_text(playbook)
    counted = Provider()
    service = Service(load_playbook(file))
    application = service.application()
    application.middlewares.append(counted.count)
    async with serving(application) as url:
        counted.url = f"{url}/v1"
        yield counted
    service.close()
