"""A line to a child process of the host: its stdin and stdout."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping, Sequence
from typing import cast

_STDERR = 8192
_END_SECONDS = 5.0


class _Protocol(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.received: Callable[[bytes], None] | None = None
        self.lost: Callable[[str], None] | None = None
        self.early = bytearray()
        self.said = bytearray()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.free = asyncio.Event()
        self.free.set()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.said += data[: _STDERR - len(self.said)]
        elif self.received is not None:
            self.received(data)
        else:
            self.early += data

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self.free.set()  # nothing more will be taken: nobody waits for it
        if fd == 1:
            self.end()

    def pause_writing(self) -> None:
        self.free.clear()

    def resume_writing(self) -> None:
        self.free.set()

    def process_exited(self) -> None:
        self.end()
        if not self.gone.done():
            self.gone.set_result(None)

    def end(self) -> None:
        self.free.set()
        if self.lost is not None:
            lost, self.lost = self.lost, None
            lost(self.said.decode("utf-8", "replace").strip()[-1000:])


class Child:
    """The port `attached.channel.Line` over a child process's stdin and stdout."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        # uvloop's transports aren't asyncio's by class.
        self._stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        self._stdout = cast(asyncio.ReadTransport, transport.get_pipe_transport(1))
        self._stdout.pause_reading()  # until somebody takes it; what is there by now is a piece or two

    @classmethod
    async def begin(cls, command: Sequence[str], env: Mapping[str, str]) -> "Child":
        """Start a process, in a session of its own. Raises OSError."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            _Protocol, *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=env, cwd="/", start_new_session=True
        )
        return cls(transport, protocol)

    def start(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        protocol = self._protocol
        protocol.received, protocol.lost = received, lost
        if protocol.early:
            early, protocol.early = bytes(protocol.early), bytearray()
            received(early)
        self._stdout.resume_reading()
        if protocol.gone.done():
            protocol.end()

    def hold(self, held: bool) -> None:
        if held:
            self._stdout.pause_reading()
        else:
            self._stdout.resume_reading()

    def write(self, data: bytes) -> None:
        self._stdin.write(data)

    @property
    def unsent(self) -> int:
        return self._stdin.get_write_buffer_size()

    async def drain(self) -> None:
        await self._protocol.free.wait()

    def close(self) -> None:
        self._protocol.lost = None
        self._stdin.close()

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    async def end(self) -> str:
        """Wait for the process's end, which follows from hanging up; kill it where it doesn't."""
        self.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._protocol.gone), _END_SECONDS)
        except TimeoutError:
            self._transport.kill()
            await self._protocol.gone
        self._transport.close()
        return ""
