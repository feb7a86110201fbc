"""The floor: raw HTTP in, aiohttp out, nothing kept. `POST /run` is a run, `POST /stream` passes a model's stream on."""

import asyncio
import json
import sys
from typing import cast

import aiohttp

from bench.loops import run
from bench.subjects.bare import Bare


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, loop: Bare, session: aiohttp.ClientSession, urls: dict[str, str]) -> None:
        self._loop = loop
        self._session = session
        self._urls = urls
        self._got = b""
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._got.lower().find(b"content-length:")
        size = int(self._got[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._got) >= end + 4 + size:
            path = self._got.split(b" ", 2)[1].decode()
            self._got = b""
            self._task = asyncio.get_running_loop().create_task(self._answer(path))

    async def _answer(self, path: str) -> None:
        if path.startswith("/stream"):
            await self._pass_on(self._urls[path.rpartition("/")[2]])
            return
        said = (await self._loop.run(int(path.rpartition("/")[2] or 0), 0)).encode() if path != "/healthz" else b"ok"
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    async def _pass_on(self, url: str) -> None:
        body = json.dumps({"model": "fake", "stream": True, "messages": [{"role": "user", "content": "go"}]})
        async with self._session.post(f"{url}/chat/completions", data=body) as response:
            if self._transport is not None:
                self._transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            async for piece in response.content.iter_any():
                if self._transport is not None:
                    self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if self._transport is not None:
                self._transport.write(b"0\r\n\r\n")


async def main(urls: dict[str, str]) -> None:
    """Serve until standard input ends."""
    bare = Bare()
    await bare.open({int(name): url for name, url in urls.items() if name.isdigit()}, "")
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        server = await loop.create_server(lambda: Connection(bare, session, urls), "127.0.0.1", 0, backlog=2048)
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        server.close()
    await bare.close()


if __name__ == "__main__":
    run(main(json.loads(sys.argv[1])))
