"""A host in memory for a courier in another process: the port of a post over HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from aiohttp import web

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.errors import HostUnreachable, NotFound
from agenthost.core.parts import FilePart
from agenthost.core.ports import Abilities
from agenthost.models.abilities import NoAbilities
from agenthost.testing.channels import MemoryPost


@asynccontextmanager
async def offered(post: MemoryPost) -> AsyncGenerator[str]:
    """The post is reached at the address while this is open. One that is away answers with 503."""

    async def place(request: web.Request) -> web.Response:
        try:
            placed = await post.place(msgspec.json.decode(await request.read(), type=Incoming))
        except HostUnreachable:
            return web.Response(status=503)
        return web.Response(body=msgspec.json.encode(placed))

    async def sent(request: web.Request) -> web.Response:
        try:
            await post.sent(int(request.query["place"]), await request.json())
        except HostUnreachable:
            return web.Response(status=503)
        return web.Response()

    async def lines(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        wanted = msgspec.json.decode(request.query["wanted"], type=LineFilter)
        try:
            async for line in post.listen(wanted):
                await answer.write(msgspec.json.encode(line) + b"\n")
        except (HostUnreachable, ConnectionError):
            pass
        return answer

    app = web.Application()
    app.router.add_post("/place", place)
    app.router.add_post("/sent", sent)
    app.router.add_get("/lines", lines)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class WirePost:
    """The post at an address."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def place(self, came: Incoming) -> Placed:
        return msgspec.json.decode(await self._post("/place", msgspec.json.encode(came)), type=Placed)

    async def sent(self, place: int, ids: Sequence[str]) -> None:
        await self._post(f"/sent?place={place}", msgspec.json.encode(list(ids)))

    async def _post(self, path: str, body: bytes) -> bytes:
        try:
            async with aiohttp.ClientSession() as session, session.post(self._url + path, data=body) as answer:
                if answer.status != 200:
                    raise HostUnreachable("the host is away")
                return await answer.read()
        except aiohttp.ClientError as error:
            raise HostUnreachable(str(error)) from error

    async def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        try:
            query = {"wanted": msgspec.json.encode(wanted).decode()}
            async with aiohttp.ClientSession() as session, session.get(self._url + "/lines", params=query) as answer:
                async for line in answer.content:
                    yield msgspec.json.decode(line, type=Line)
        except aiohttp.ClientError as error:
            raise HostUnreachable(str(error)) from error
        raise HostUnreachable("the stream was cut")

    async def last(self, wanted: LineFilter) -> int:
        return 2**40  # this host never goes back

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        raise NotFound("no files here")

    async def get_file(self, digest: str) -> bytes:
        raise NotFound("no files here")

    async def abilities(self, name: str) -> Abilities:
        return NoAbilities(name)
