"""Sends requests to what is served, over raw sockets, and times what comes back. The standard library alone."""

import asyncio
import time
from typing import Any, cast


class _Answer(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self, mark: bytes) -> None:
        self.transport: asyncio.Transport | None = None
        self._mark = mark
        self._got = bytearray()
        self._done: asyncio.Future[bytes] | None = None
        self._seam = b""
        self.first = 0.0
        self.marks = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"the connection ended: {bytes(self._got[-300:])!r}"))

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        """Send a request; its whole answer."""
        assert self.transport is not None
        self._done = asyncio.get_running_loop().create_future()
        self._got.clear()
        self.first, self.marks, self._seam = 0.0, 0, b""
        self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        found = (self._seam + data).count(self._mark)
        self._seam = data[1 - len(self._mark) :] if len(self._mark) > 1 else b""  # a mark may be cut in two
        if found:
            self.first = self.first or time.perf_counter()
            self.marks += found
        self._got += data
        if len(self._got) > 65536 and b"chunked" in self._got[:2000].lower():
            del self._got[2000:-2000]  # the head, and the end that is waited for
        if self._whole() and self._done is not None and not self._done.done():
            self._done.set_result(bytes(self._got))

    def _whole(self) -> bool:
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._got[:end]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            return len(self._got) >= end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        return self._got.endswith(b"0\r\n\r\n")


class Caller:
    """Orders: `runs`, `streams`, `hold`, `let_go`."""

    def __init__(self) -> None:
        self._held: list[_Answer] = []

    async def open(self, urls: dict[int, str], folder: str) -> None:
        """Nothing to get ready."""

    async def run(self, latency: int, number: int) -> str:
        """Not what this is for."""
        raise NotImplementedError

    async def runs(self, port: int, request: str, wanted: str, concurrent: int, seconds: float) -> dict[str, Any]:
        """Keep so many requests going for so long; how many were answered, and how long they took in ms."""
        sent, right = request.encode("latin-1"), wanted.encode()
        began = time.perf_counter()
        until = began + seconds
        times: list[float] = []

        async def caller() -> None:
            connection = await _connect(port, b"\0")
            while (start := time.perf_counter()) < until:
                answer = await connection.ask(sent)
                if right not in answer:
                    raise RuntimeError(f"a wrong answer: {answer[-300:]!r}")
                times.append(time.perf_counter() - start)
            _close(connection)

        await asyncio.gather(*(caller() for _ in range(concurrent)))
        elapsed = time.perf_counter() - began
        times.sort()
        return {"runs": len(times), "rate": len(times) / elapsed, "median_ms": times[len(times) // 2] * 1000}

    async def count(self, port: int, request: str, wanted: str, concurrent: int, count: int) -> dict[str, Any]:
        """So many requests, `concurrent` at once."""
        sent, right, left = request.encode("latin-1"), wanted.encode(), count

        async def caller() -> None:
            nonlocal left
            connection = await _connect(port, b"\0")
            while left > 0:
                left -= 1
                answer = await connection.ask(sent)
                if right not in answer:
                    raise RuntimeError(f"a wrong answer: {answer[-300:]!r}")
            _close(connection)

        await asyncio.gather(*(caller() for _ in range(concurrent)))
        return {"runs": count}

    async def get(self, port: int, request: str) -> dict[str, Any]:
        """One request; the text of its answer."""
        connection = await _connect(port, b"\0")
        answer = await connection.ask(request.encode("latin-1"))
        _close(connection)
        return {"body": answer.partition(b"\r\n\r\n")[2].decode()}

    async def streams(self, port: int, request: str, mark: str, concurrent: int, times: int) -> dict[str, Any]:
        """So many streams at once, each so often; ms to the first `mark` (median), marks seen, seconds."""
        firsts: list[float] = []
        marks = 0
        began = time.perf_counter()

        async def caller() -> None:
            nonlocal marks
            connection = await _connect(port, mark.encode())
            for _ in range(times):
                start = time.perf_counter()
                await connection.ask(request.encode("latin-1"))
                firsts.append(connection.first - start)
                marks += connection.marks
            _close(connection)

        await asyncio.gather(*(caller() for _ in range(concurrent)))
        firsts.sort()
        return {
            "first_ms": firsts[len(firsts) // 2] * 1000,
            "marks": marks,
            "seconds": time.perf_counter() - began,
        }

    async def hold(self, port: int, request: str, count: int) -> dict[str, Any]:
        """Begin so many requests that won't be answered soon, and keep them."""
        for _ in range(0, count, 50):
            for connection in await asyncio.gather(*(_connect(port, b"\0") for _ in range(50))):
                self._held.append(connection)
                connection.ask(request.encode("latin-1")).add_done_callback(lambda done: done.exception())
            await asyncio.sleep(0.05)
        return {"held": len(self._held)}

    async def let_go(self) -> dict[str, Any]:
        """Hang up on what is held."""
        for connection in self._held:
            _close(connection)
        self._held.clear()
        return {}

    async def close(self) -> None:
        """Hang up."""
        await self.let_go()


async def _connect(port: int, mark: bytes) -> _Answer:
    _, made = await asyncio.get_running_loop().create_connection(lambda: _Answer(mark), "127.0.0.1", port)
    return made


def _close(connection: _Answer) -> None:
    if connection.transport is not None:
        connection.transport.abort()
