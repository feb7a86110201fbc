"""A task's events as server-sent events.

Three things go on at once for each follower: the host is followed into a bounded outbox, the outbox
is sent, and the connection is watched. A follower that takes nothing for `patience` seconds is let
go with `end: slow`; a host that stops says `end: closing`. Either may be taken up again with the
id of the last event, and then nothing is missed or repeated.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, TypeVar, cast

import msgspec
from starlette.types import Receive, Scope, Send

from agenthost.core.api import LiveDelta
from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.events import Recorded
from agenthost.core.models import Fitness
from agenthost.faces.http.bodies import mistake, problem
from agenthost.faces.http.outbox import Outbox
from agenthost.wire import sse
from agenthost.wire.bodies import End, encode
from agenthost.wire.problems import encode_problem, problem_of

T = TypeVar("T")

ABORT = "agenthost.abort"
"""In the scope: cuts the connection off, where the server gives a way to."""

_OPENING = 0.25


class StreamSettings(msgspec.Struct, frozen=True):
    """`heartbeat`: seconds of silence before a comment is sent. `patience`: seconds that a follower
    may take nothing. `most`: bytes that may wait for it."""

    heartbeat: float = 15.0
    patience: float = 20.0
    most: int = 1024 * 1024


class Closing:
    """Tells every stream that the host stops. `open`: streams that there are. `slow`: followers that were let go
    because they took nothing."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._bound: set[asyncio.Timeout] = set()
        self.open = 0
        self.slow = 0

    def set(self) -> None:
        self._event.set()
        for bound in self._bound:
            bound.reschedule(0.0)

    async def wait(self) -> None:
        await self._event.wait()

    @asynccontextmanager
    async def bounding(self) -> AsyncGenerator[None]:
        """What is waited for in here is waited for until the host stops, and no longer: then Temporary (`closing`)."""
        bound = asyncio.timeout_at(0.0 if self._event.is_set() else None)
        try:
            async with bound:
                self._bound.add(bound)
                try:
                    yield
                finally:
                    self._bound.discard(bound)
        except TimeoutError:
            if not bound.expired():
                raise
            told = "the host stops; the task goes on when it is started again"
            raise Temporary(told, code="closing", delay=5.0) from None

    async def until(self, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
        """`items` until the host stops."""
        async with aclosing(items):
            while True:
                try:
                    async with self.bounding():
                        item = await anext(items)
                except (StopAsyncIteration, Temporary) as error:
                    if isinstance(error, Temporary) and not self._event.is_set():
                        raise
                    return
                yield item


Items = AsyncIterator[Any]
"""What is sent: of `follow`, or of `probe`."""


class EventStream:
    """One follower's response, an ASGI application. `frame` writes an event with its id."""

    def __init__(self, items: Items, frame: Callable[[Any], bytes], settings: StreamSettings, closing: Closing):
        self._items = items
        self._frame = frame
        self._settings = settings
        self._closing = closing
        self._outbox = Outbox(settings.most)
        self._failed: AgentHostError | None = None
        self._slow = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._closing.open += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self._closing.open -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with beside(self._pump(), self._watch(receive), self._watch_closing()):
            await self._send(scope, receive, send)

    async def _pump(self) -> None:
        try:
            async with _released(self._items) as items:
                async for item in items:
                    if not await self._outbox.put(self._encode(item), self._settings.patience):
                        self._slow = True
                        self._closing.slow += 1
                        self._outbox.close(_end("slow"), drop=True)
                        return
            self._outbox.close(_end("done"))
        except AgentHostError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            self._fail(mistake(error, "events"))

    def _encode(self, item: Any) -> bytes:
        return sse.encode_frame(sse.DELTA, encode(item)) if isinstance(item, LiveDelta) else self._frame(item)

    def _fail(self, error: AgentHostError) -> None:
        self._failed = error
        self._outbox.close(sse.encode_frame(sse.PROBLEM, encode_problem(problem_of(error))))

    async def _watch(self, receive: Receive) -> None:
        await until_left(receive)
        self._outbox.close(drop=True)

    async def _watch_closing(self) -> None:
        await self._closing.wait()
        self._outbox.close(_end("closing"))

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        # An unknown task is told as a plain problem, with its status; after that a stream is open.
        piece = await self._outbox.take(_OPENING)
        if self._failed is not None and piece is not None and piece.startswith(b"event: " + sse.PROBLEM.encode()):
            await problem(self._failed)(scope, receive, send)
            return
        try:
            await self._stream(piece, send)
        except TimeoutError:
            self._closing.slow += not self._slow
            await cut_off(scope)
        except OSError:
            pass  # the follower has gone

    async def _stream(self, piece: bytes | None, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if not piece and piece is not None:
            piece = sse.HEARTBEAT
        while piece is not None:
            async with asyncio.timeout(self._settings.patience):
                await send({"type": "http.response.body", "body": piece or sse.HEARTBEAT, "more_body": True})
            piece = await self._outbox.take(self._settings.heartbeat)
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Have other things done while something is; they end with it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def until_left(receive: Receive) -> None:
    """Wait until whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def cut_off(scope: Scope) -> None:
    """Drop a connection at whose other end nobody reads, so that no last word can reach it."""
    if ABORT in scope:
        scope[ABORT]()
        await asyncio.sleep(0)


@asynccontextmanager
async def _released(items: Items) -> AsyncGenerator[Items]:
    """`items`, and the host told as soon as nobody wants more of them."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await cast("AsyncGenerator[Any]", items).aclose()


def _end(reason: str) -> bytes:
    return sse.encode_frame(sse.END, encode(End(reason)))


def probe_frames(item: str | Fitness) -> bytes:
    """A frame of a probe: a line for people, or what was found."""
    return sse.encode_frame(sse.FITNESS if isinstance(item, Fitness) else sse.LINE, encode(item))


def tree_frames(after: dict[str, int]) -> Callable[[Recorded], bytes]:
    """Frames whose ids tell the place in every journal of the tree."""
    seen = dict(after)

    def frame(recorded: Recorded) -> bytes:
        seen[recorded.task] = recorded.seq
        return sse.encode_frame(sse.RECORDED, encode(recorded), sse.encode_after(seen))

    return frame


def task_frames(recorded: Recorded) -> bytes:
    """A frame of one journal alone: its number is its id."""
    return sse.encode_frame(sse.RECORDED, encode(recorded), str(recorded.seq).encode())


def bare_frames(recorded: Recorded) -> bytes:
    """A frame without id, for a follower that keeps count by itself."""
    return sse.encode_frame(sse.RECORDED, encode(recorded))
