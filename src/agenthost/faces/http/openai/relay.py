"""One client's stream: frames are gathered while there are any and sent together.

Three things go on beside the sending: the task is read into a bounded heap of frames, the connection is watched, and
a comment is sent where nothing was for a while. A client that takes nothing for `patience` seconds is cut off; the task
goes on, whoever listens.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from agenthost.core.errors import AgentHostError, Temporary
from agenthost.faces.http.bodies import mistake
from agenthost.faces.http.streams import ABORT, Closing, StreamSettings

_HEARTBEAT = b": alive\n\n"


class Sink:
    """Frames that wait to be sent."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._frames: list[bytes] = []
        self._size = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.closed = False

    def put(self, frame: bytes) -> None:
        """Add a frame."""
        self._frames.append(frame)
        self._size += len(frame)
        self._ready.set()
        if self._size > self._most:
            self._room.clear()

    async def room(self) -> None:
        """Until no more waits than may."""
        await self._room.wait()

    def close(self) -> None:
        """Nothing is added any more; what waits is sent first."""
        self.closed = True
        self._ready.set()
        self._room.set()

    def beat(self) -> None:
        """Say that the connection is alive, where nothing waits."""
        if not self._frames and not self.closed:
            self.put(_HEARTBEAT)

    async def take(self) -> bytes:
        """What waits, once there is something; empty at the end."""
        await self._ready.wait()
        taken = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        self._room.set()
        if not self.closed:
            self._ready.clear()
        return taken


Pump = Callable[[Sink], Awaitable[None]]
"""Reads the task and puts frames; may raise."""


class Relay:
    """The response that streams what `pump` puts. `fault` writes an error; `left` is done where the client hangs up."""

    def __init__(
        self,
        pump: Pump,
        fault: Callable[[AgentHostError], bytes],
        left: Callable[[], Awaitable[None]],
        settings: StreamSettings,
        closing: Closing,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        self._pump = pump
        self._fault = fault
        self._left = left
        self._settings = settings
        self._closing = closing
        self._headers = headers
        self._sink = Sink(settings.most)
        self._sending = 0.0
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._fill()),
                group.create_task(self._watch(receive)),
                group.create_task(self._watch_closing()),
                group.create_task(self._beat(scope)),
            ]
            try:
                await self._send(send)
            finally:
                for task in beside:
                    task.cancel()
        if self._gone:
            await self._left()

    async def _fill(self) -> None:
        try:
            await self._pump(self._sink)
        except AgentHostError as error:
            self._sink.put(self._fault(error))
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            self._sink.put(self._fault(mistake(error, "openai")))
        self._sink.close()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = not self._sink.closed
        self._sink.close()

    async def _watch_closing(self) -> None:
        await self._closing.wait()
        if not self._sink.closed:
            told = "the host stops; the task goes on when it is started again"
            self._sink.put(self._fault(Temporary(told, code="closing")))
            self._sink.close()

    async def _beat(self, scope: Scope) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(self._settings.heartbeat, self._settings.patience))
            if self._sending and loop.time() - self._sending >= self._settings.patience:
                # Nobody reads at the other end, so that no last word can reach it.
                self._gone = True
                self._sink.close()
                if ABORT in scope:
                    scope[ABORT]()
            else:
                self._sink.beat()

    async def _send(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        while frames := await self._sink.take():
            if self._gone:
                return
            self._sending = loop.time()
            try:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
            except OSError:
                self._gone = True
                return
            self._sending = 0.0
        if not self._gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
