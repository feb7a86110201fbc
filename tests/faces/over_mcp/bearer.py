"""A way in for suites that can't show a token: passes everything on as it is, with the token, one request a connection."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

PIECE = 65536


@asynccontextmanager
async def with_token(url: str, token: str) -> AsyncGenerator[str]:
    """The same place, for whoever comes to this address. The `Host` that was asked for is kept, but for its port."""
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    target = (parts.hostname, parts.port)

    going: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        going.add(task)
        try:
            await passed(reader, writer)
        finally:
            writer.close()
            going.discard(task)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            kept = [line for line in lines if not line.lower().startswith((b"connection:", b"authorization:"))]
            inner, outer = await asyncio.open_connection(*target)
            told = [first, *kept, b"Authorization: Bearer " + token.encode(), b"Connection: close", b"", b""]
            outer.write(b"\r\n".join(told))
            try:
                async with asyncio.TaskGroup() as group:
                    asking = group.create_task(_pass(reader, outer))
                    await _pass(inner, writer)
                    asking.cancel()
            finally:
                outer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1024 * 1024)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{parts.path}"
    finally:
        server.close()
        for task in (left := list(going)):  # a suite hangs up on streams that go on
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is let go of


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
