"""The host's side of the launcher: starts bwrap, knocks for runs, hears when they are gone."""

import array
import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Sequence
from typing import Any

from agenthost.core.errors import Temporary

# Runs whose namespaces are made before they are wanted.
SPARE = 2
_START_SECONDS = 20.0
_END_SECONDS = 3.0
_STDERR = 8192
_MOST_SOCKETS = 253  # SCM_MAX_FD


class NotStarted(Exception):
    """The launcher didn't come up; the text is what bwrap or Python said."""


class Door:
    """One run as the host sees it: its socket, and `gone`, done when nothing of it is left.

    `gone` holds the wait status of the run's pid 1, -1 where there was none, None where the launcher died.
    """

    def __init__(
        self, station: "Station", number: str, side: socket.socket, gone: "asyncio.Future[int | None]"
    ) -> None:
        self._station = station
        self._number = number
        self._side = side
        self.gone = gone
        self.why = ""
        self._killed = False
        self._asking = asyncio.Lock()

    async def ask(self, request: dict[str, Any], files: Sequence[int]) -> None:
        """Send the request with stdin, stdout and stderr."""
        body = json.dumps(request).encode()
        handles = array.array("i", files)
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)]
            self._side.sendmsg([struct.pack("=Q", len(body))], rights)
            await asyncio.get_running_loop().sock_sendall(self._side, body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it died; `gone` and the missing answer say so

    async def sockets(self) -> list[socket.socket] | None:
        """What pid 1 hands over next of its network; None where the run has ended instead."""
        loop = asyncio.get_running_loop()
        while True:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_reader(self._side, _done, ready)
            try:
                await ready
            finally:
                loop.remove_reader(self._side)
            word = self._side.recv(1, socket.MSG_PEEK)
            if word in (b"", b"{"):
                return None
            handles = array.array("i")
            _, extra, _, _ = self._side.recvmsg(1, socket.CMSG_LEN(_MOST_SOCKETS * handles.itemsize))
            for _, _, data in extra:
                handles.frombytes(data[: len(data) - len(data) % handles.itemsize])
            if word in (b"n", b"s"):
                return [_nonblocking(handle) for handle in handles]

    async def socket(self) -> socket.socket:
        """A socket of the run's network, not yet connected: for services. Raises ConnectionRefusedError where it has ended."""
        found = None
        async with self._asking:
            if not self.gone.done():
                try:
                    self._side.send(b"s")
                    found = await self.sockets()
                except OSError:
                    pass  # it has just ended
        if not found:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the service has ended")
        return found[0]

    def kill(self) -> None:
        """End the run and everything it started, at once."""
        if not self._killed:
            self._killed = True
            self._station.tell(f"kill {self._number}".encode())

    def answer(self) -> dict[str, Any]:
        """What the run's pid 1 said at its end; empty where it was killed."""
        said = bytearray()
        try:
            while piece := self._side.recv(65536):
                said += piece
        except (BlockingIOError, ConnectionResetError):
            pass
        return json.loads(said[said.find(b"{") :]) if b"{" in said else {}

    def close(self) -> None:
        self._side.close()


class Station:
    """One launcher. When it dies every run of it is gone, and `alive` is False."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._doors: dict[str, Door] = {}
        self._spare: deque[Door] = deque()
        self._untold: deque[tuple[bytes, socket.socket | None]] = deque()
        self._count = 0
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alive = True
        self.said = b""
        self._burial: asyncio.Task[str] | None = None
        asyncio.get_running_loop().add_reader(control, self._hear)

    @classmethod
    async def start(cls, command: Sequence[str], control: socket.socket, far: socket.socket) -> "Station":
        """Start `command`, which holds the end `far` of the control socket. Raises NotStarted."""
        control.setblocking(False)
        try:
            # a session of its own: Ctrl-C in the host's terminal is the host's to handle;
            # pipes for all three, so that the interpreter inside sets its streams up as a run's will be
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                pass_fds=(far.fileno(),),
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as problem:
            control.close()
            raise NotStarted(str(problem)) from problem
        except BaseException:
            control.close()
            raise
        finally:
            far.close()
        station = cls(process, control)
        try:
            done, _ = await asyncio.wait([station._up], timeout=_START_SECONDS)
        except BaseException:
            await station.close()
            raise
        if not done or station._up.exception() is not None:
            await station.close()
            raise NotStarted(station.said[:_STDERR].decode("utf-8", "replace").strip() or "the launcher didn't answer")
        return station

    def take(self) -> Door:
        """A run that waits for its request. Raises Temporary where the launcher is gone."""
        door = None
        while self._spare and door is None:
            if (spare := self._spare.popleft()).gone.done():
                spare.close()
            else:
                door = spare
        return door or self._knock()

    def refill(self) -> None:
        """Have spare runs made ready. After a run and not during it: to make namespaces slows down what uses some."""
        while len(self._spare) < SPARE and self.alive:
            self._spare.append(self._knock())

    def tell(self, message: bytes, door: socket.socket | None = None) -> None:
        """Send a message, with a run's socket, as soon as the launcher has room for it: on a machine that is short of
        everything it may be late, and isn't dead for that. The socket is closed here."""
        if not self.alive:
            if door is not None:
                door.close()
            return
        self._untold.append((message, door))
        if len(self._untold) == 1:
            self._speak()

    def _speak(self) -> None:
        while self._untold:
            message, door = self._untold[0]
            rights = [] if door is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [door.fileno()]))]
            try:
                self._control.sendmsg([message], rights)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._control, self._speak)
                return
            except OSError as problem:
                self._dead(f"it can't be told anything: {problem}")
                return
            self._untold.popleft()
            if door is not None:
                door.close()
        asyncio.get_running_loop().remove_writer(self._control)

    def _knock(self) -> Door:
        if not self.alive:
            raise Temporary("The sandbox's launcher ended; it is started again with the next run.", code="sandbox")
        near, far = socket.socketpair()
        near.setblocking(False)
        self._count += 1
        number = str(self._count)
        door = Door(self, number, near, asyncio.get_running_loop().create_future())
        self._doors[number] = door
        self.tell(f"start {number}".encode(), far)
        return door

    def _hear(self) -> None:
        try:
            while message := self._control.recv(1024):
                self._take_in(message.decode("utf-8", "replace"))
            self._dead("it hung up")
        except BlockingIOError:
            return
        except OSError as problem:
            self._dead(f"it can't be heard: {problem}")

    def _take_in(self, message: str) -> None:
        if message == "up":
            if not self._up.done():
                self._up.set_result(None)
            return
        _, number, status, *why = message.split(" ", 3)
        door = self._doors.pop(number)
        door.why = "".join(why)
        if not door.gone.done():
            door.gone.set_result(int(status))

    def _dead(self, why: str) -> None:
        if not self.alive:
            return
        self.alive = False
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        loop.remove_writer(self._control)
        self._control.close()
        for _, door in self._untold:
            if door is not None:
                door.close()
        self._untold.clear()
        if not self._up.done():
            self._up.set_exception(NotStarted("the launcher ended"))
            self._up.exception()  # seen: nobody may be waiting
        for door in self._doors.values():
            if not door.gone.done():
                door.gone.set_result(None)
        self._doors.clear()
        while self._spare:
            self._spare.popleft().close()
        self._burial = loop.create_task(self._bury(why))

    async def _bury(self, why: str) -> str:
        """Wait for the launcher's end, or bring it about; what became of it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            # It ends by itself when the control socket is closed.
            code = await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            self._process.kill()
            code = await self._process.wait()
        # Its pipes end with it, a moment later; a loop that is closed with one open fails (uvloop: EBUSY).
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(TimeoutError):
                    self.said = await asyncio.wait_for(pipe.read(), _END_SECONDS) or self.said
        await asyncio.sleep(0)
        last = self.said[-_STDERR:].decode("utf-8", "replace").strip().splitlines()[-1:]
        return "; ".join([why, f"exit code {code}", *last])

    async def ended(self) -> str:
        """What became of a launcher that is gone."""
        return await asyncio.shield(self._burial) if self._burial is not None else ""

    async def close(self) -> None:
        """End the launcher and everything in it."""
        self._dead("it was told to end")
        await self.ended()

    @property
    def pid(self) -> int:
        """The pid of bwrap."""
        return self._process.pid


def sockets() -> tuple[socket.socket, socket.socket]:
    """A control socket: the host's end, the launcher's end. Whole messages, with descriptors."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _done(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _nonblocking(handle: int) -> socket.socket:
    found = socket.socket(fileno=handle)
    found.setblocking(False)
    return found


def pipe() -> tuple[int, int]:
    """A pipe whose host end doesn't block: (read end, write end), the read end the host's."""
    inner, outer = os.pipe()
    os.set_blocking(inner, False)
    return inner, outer
