"""Something between a client and a host's socket that cuts, stops or records what passes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PIECE = 65536


class Proxy:
    """Passes connections on to `target`. `allow(number)` says how many bytes of answers the connection
    of that number lets through before it is cut (None: all); while `stopped` is set nothing passes."""

    def __init__(self, target: Path, allow: Callable[[int], int | None]) -> None:
        self._target = target
        self._allow = allow
        self.connections = 0
        self.cuts = 0
        self.heads: list[bytes] = []
        self._open: set[asyncio.StreamWriter] = set()
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        self._open.add(writer)
        try:
            with suppress(OSError):
                inner, outer = await asyncio.open_unix_connection(str(self._target))
                try:
                    await self._pass(reader, writer, inner, outer, self._allow(number))
                finally:
                    outer.transport.abort()
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    def cut(self) -> None:
        """Cut every connection now."""
        for writer in self._open:
            writer.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner: asyncio.StreamReader,
        outer: asyncio.StreamWriter,
        most: int | None,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._ask(reader, outer))
            with suppress(OSError):
                await self._answer(inner, writer, most)
            asking.cancel()

    async def _ask(self, reader: asyncio.StreamReader, outer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                self.heads.append(piece)
                outer.write(piece)
                await outer.drain()
            outer.transport.abort()

    async def _answer(self, inner: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
        passed = 0
        while piece := await inner.read(PIECE):
            await self.flowing.wait()
            if most is not None and passed + len(piece) > most:
                writer.write(piece[: most - passed])
                with suppress(OSError):
                    await writer.drain()
                # A moment for what was written to leave: a reset may overtake it.
                await asyncio.sleep(0)
                self.cuts += 1
                return
            passed += len(piece)
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def through_socket(target: Path, at: Path, allow: Callable[[int], int | None]) -> AsyncIterator[Proxy]:
    """A proxy on a unix socket at `at`."""
    proxy = Proxy(target, allow)
    server = await asyncio.start_unix_server(proxy._connected, str(at))
    try:
        yield proxy
    finally:
        server.close()


@asynccontextmanager
async def through_tcp(target: Path, allow: Callable[[int], int | None]) -> AsyncIterator[tuple[str, Proxy]]:
    """A proxy on a TCP port of this machine; its URL."""
    proxy = Proxy(target, allow)
    server = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}", proxy
    finally:
        server.close()
