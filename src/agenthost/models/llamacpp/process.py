"""A child process as the host sees it: what it said first, its last words, and that it has ended."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import cast

from agenthost.models.llamacpp.words import clean

_TAIL = 40  # lines of stderr that are kept
_LONGEST = 2_000  # characters of a line
_SHOWN = 6  # lines that a message repeats
_PATIENCE = 5.0  # seconds that a child has to end when it is asked to


class Child(asyncio.SubprocessProtocol):
    """Fed by the event loop. `gone` is called once, when the process has ended and all that it said was read."""

    def __init__(self, gone: Callable[["Child"], None]) -> None:
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[bytes] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.wanted = False
        self._gone = gone
        self._out = b""
        self._rest = b""
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self._transport: asyncio.SubprocessTransport | None = None
        self._code: int | None = None

    # --- what the loop tells ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports fulfil asyncio's classes without being of them.
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            if not self.first.done():
                self._out += data
                line, end, _ = self._out.partition(b"\n")
                if end:
                    self.first.set_result(line)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LONGEST:]
        self._lines += (line[:_LONGEST].decode("utf-8", "replace") for line in lines)

    def process_exited(self) -> None:
        # What it started goes with it: the server behind a wrapper, which else would keep the memory and the pipes.
        self._signal(signal.SIGKILL)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._lines.append(self._rest.decode("utf-8", "replace"))
        code = None
        if self._transport is not None:
            code = self._transport.get_returncode()
            self._transport.close()
        if not self.first.done():
            self.first.cancel()
        if not self.ended.done():
            self.ended.set_result(-1 if code is None else code)
        self._gone(self)

    # --- what the host asks -----------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._transport.get_pid() if self._transport is not None else 0

    @property
    def alive(self) -> bool:
        """Whether it hasn't ended, as far as the loop was told."""
        return not self.ended.done()

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self.ended.result() if self.ended.done() else 0
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    @property
    def last_words(self) -> str:
        """The last lines that it wrote to stderr, the errors among them first of all."""
        lines = [clean(line) for line in self._lines if line.strip()]
        errors = [line for line in lines if " E " in line or "error" in line.lower()]
        return "; ".join((errors or lines)[-_SHOWN:])

    def write(self, data: bytes) -> None:
        """Write to its stdin."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        cast(asyncio.WriteTransport, pipe).write(data)

    async def stop(self) -> None:
        """End it: politely, then not."""
        self.wanted = True
        transport = self._transport
        if transport is None or self.ended.done():
            return
        try:
            self._signal(signal.SIGTERM)
            await asyncio.wait([self.ended], timeout=_PATIENCE)
            if not self.ended.done():
                self._signal(signal.SIGKILL)
                await asyncio.wait([self.ended], timeout=_PATIENCE)
        finally:
            transport.close()

    def _signal(self, number: int) -> None:
        """To it and all that it started: it leads a group of its own, whose number nobody gets while one of them lives."""
        if self.pid:
            with suppress(ProcessLookupError, PermissionError):  # all have ended
                os.killpg(self.pid, number)


async def start(command: Sequence[str], env: Mapping[str, str], gone: Callable[[Child], None]) -> Child:
    """Start a command in a session of its own, so that Ctrl-C in a terminal reaches the host alone. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_exec(lambda: Child(gone), *command, env=dict(env), start_new_session=True)
    return child
