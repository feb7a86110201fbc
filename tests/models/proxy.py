"""A small real HTTP proxy: forwards plain requests by their absolute URL, and tunnels CONNECT."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """`seen` are the request lines. With `login`, clients must show it (RFC 7617), else they get 407."""

    def __init__(self, login: str = "", broken: bool = False) -> None:
        self.seen: list[str] = []
        self._login = base64.b64encode(login.encode()).decode() if login else ""
        self._broken = broken

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, _, rest = head.partition(b"\r\n")
            method, target, _ = line.decode().split(" ")
            self.seen.append(f"{method} {target}")
            if self._login and f"Basic {self._login}".encode() not in rest:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            if self._broken:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if method == "CONNECT":
                host, _, port = target.partition(":")
                away, out = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                url = urlsplit(target)
                assert url.hostname is not None
                away, out = await asyncio.open_connection(url.hostname, url.port or 80)
                out.write(f"{method} {url.path} HTTP/1.1\r\n".encode() + rest)
            await asyncio.gather(self._pump(reader, out), self._pump(away, writer))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                sink.write(piece)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
