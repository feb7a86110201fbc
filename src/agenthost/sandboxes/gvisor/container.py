"""One container of runsc: started on a bundle, reached by its stdin and stdout, ended when those are closed."""

import asyncio
import contextlib
import os
import shutil
from asyncio import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

_STDERR = 8192


def command(runsc: Sequence[str], state: Path, bundle: Path, name: str) -> list[str]:
    """The command that runs a container in the foreground. Where setpriv is there, the kernel ends it with its host."""
    words = [*runsc, "--root", str(state), "run", "--bundle", str(bundle), name]
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *words] if setpriv else words


class Container(asyncio.SubprocessProtocol):
    """A running container as a line: the stream that `attached.channel.Link` works on."""

    def __init__(self) -> None:
        self._received: Callable[[bytes], None] = self._hold
        self._lost: Callable[[str], None] = lambda _: None
        self._held = bytearray()
        self._said = bytearray()
        self._transport: asyncio.SubprocessTransport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @classmethod
    async def run(cls, words: Sequence[str]) -> "Container":
        """Raises OSError where the command can't be started at all."""
        _, protocol = await asyncio.get_running_loop().subprocess_exec(
            cls,
            *words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")},
            cwd="/",
            start_new_session=True,
        )
        return protocol

    # --- the line ----------------------------------------------------------------------------

    def start(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._received, self._lost = received, lost
        if self._held:
            received(bytes(self._held))
            self._held.clear()
        if self.gone.done():
            lost(self.said)

    def write(self, data: bytes) -> None:
        if (pipe := self._stdin()) is not None:
            pipe.write(data)

    @property
    def unsent(self) -> int:
        pipe = self._stdin()
        return pipe.get_write_buffer_size() if pipe is not None else 0

    async def drain(self) -> None:
        if self.gone.done():
            raise ConnectionResetError("the container is gone")
        await self._writable.wait()

    def close(self) -> None:
        """Hang up: the first process inside takes that as its end."""
        if (pipe := self._stdin()) is not None:
            pipe.close()

    def kill(self) -> None:
        """End runsc's own process, and with it what it holds."""
        if self._transport is not None and not self.gone.done():
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()

    @property
    def said(self) -> str:
        """What runsc wrote to its stderr, the beginning of it."""
        return self._said.decode("utf-8", "replace").strip()

    @property
    def pid(self) -> int:
        return self._transport.get_pid() or 0 if self._transport is not None else 0

    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        return pipe if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing() else None

    def _hold(self, data: bytes) -> None:
        self._held += data

    # --- what the loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._received(data)
        elif len(self._said) < _STDERR:
            self._said += data[: _STDERR - len(self._said)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in (0, 1):
            self._writable.set()
            self._lost(self.said)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def process_exited(self) -> None:
        self._writable.set()
        self._lost(self.said)
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if not self.gone.done():
            code = self._transport.get_returncode() if self._transport is not None else None
            self.gone.set_result(-1 if code is None else code)
