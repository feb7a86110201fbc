"""The line into a container: the engine's attached stream of its first process."""

import asyncio
from collections.abc import Callable

from aiodocker.stream import Stream

_STDERR = 8192


class Attached:
    """The port `attached.channel.Line` over an attached stream, which was opened before the container started."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._waiting: list[bytes] = []
        self._unsent = 0
        self._more = asyncio.Event()
        self._less = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._said = b""
        self.lost = False
        """Whether the other end hung up, and not this one."""

    def start(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read(received, lost)), loop.create_task(self._write())]

    async def _read(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        try:
            while (message := await self.stream.read_out()) is not None:
                if message.stream == 1:
                    received(message.data)
                    await self._may_read.wait()
                else:
                    self._said = (self._said + message.data)[:_STDERR]
        except (OSError, RuntimeError) as problem:
            self._said = self._said or str(problem).encode()
        finally:
            self.lost = not self._closed
            self._closed = True
            self._less.set()
            lost(self._said.decode("utf-8", "replace").strip()[-1000:])

    async def _write(self) -> None:
        try:
            while not self._closed or self._waiting:
                if not self._waiting:
                    self._more.clear()
                    await self._more.wait()
                    continue
                data, self._waiting = b"".join(self._waiting), []
                await self.stream.write_in(data)
                self._unsent -= len(data)
                self._less.set()
        except (OSError, RuntimeError, AssertionError):
            pass  # the reader tells that it is gone
        finally:
            self._closed = True
            self._less.set()

    def hold(self, held: bool) -> None:
        if held:
            self._may_read.clear()
        else:
            self._may_read.set()

    def write(self, data: bytes) -> None:
        if not self._closed:
            self._waiting.append(data)
            self._unsent += len(data)
            self._more.set()

    @property
    def unsent(self) -> int:
        return self._unsent

    async def drain(self) -> None:
        while self._unsent and not self._closed:
            self._less.clear()
            await self._less.wait()

    def close(self) -> None:
        self._closed = True
        self._more.set()

    async def end(self) -> None:
        """Let go of the stream."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stream.close()
