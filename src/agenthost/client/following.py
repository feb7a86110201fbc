"""Following a task over connections that may break: every event once, in order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlencode

import msgspec

from agenthost.client.transport import Broken, Transport, path_of
from agenthost.core.api import LiveDelta
from agenthost.core.errors import AgentHostError, HostUnreachable, NewerVersion
from agenthost.core.events import Answered, Recorded, Retried
from agenthost.core.models import Delta
from agenthost.wire import sse
from agenthost.wire.bodies import End, PlacedBody
from agenthost.wire.cursors import encode_cursor
from agenthost.wire.problems import decode_problem

FIRST_WAIT = 0.05
LONGEST_WAIT = 1.0

_recorded = msgspec.json.Decoder(Recorded)
_delta = msgspec.json.Decoder(LiveDelta)
_end = msgspec.json.Decoder(End)
_placed = msgspec.json.Decoder(PlacedBody)

Call = tuple[str, str, int]


class Waits:
    """How long to wait before a connection is made again: longer each time, until something has come."""

    def __init__(self) -> None:
        self._next = FIRST_WAIT

    def next(self) -> float:
        """Seconds to wait now."""
        now, self._next = self._next, min(LONGEST_WAIT, self._next * 2)
        return now

    def progress(self) -> None:
        """Something has come; an open connection alone is nothing."""
        self._next = FIRST_WAIT


class Follower:
    """One follower of one task (and what is below it, where `tree`). It keeps count by itself, so a
    broken stream is taken up again where it stopped; deltas that were cut off are taken back first."""

    def __init__(self, transport: Transport, task: str, after: dict[str, int], tree: bool) -> None:
        self._transport = transport
        self._task = task
        self._seen = dict(after)
        self._tree = tree
        self._live: set[Call] = set()
        self._open = False

    async def items(self) -> AsyncGenerator[Recorded | LiveDelta]:
        """What happens, until the task has ended. Raises HostUnreachable where the host has gone."""
        loop = asyncio.get_running_loop()
        waits, gone_since, found = Waits(), loop.time(), False
        while True:
            self._open = False
            try:
                async with aclosing(self._connection()) as items:
                    async for item in items:
                        waits.progress()
                        yield item
                return
            except HostUnreachable as error:
                found = found or self._open
                if not found and not isinstance(error, Broken):
                    raise
                if self._open:
                    gone_since = loop.time()
                gone = error if not self._open and loop.time() - gone_since > self._transport.timing.absent else None
            for call in sorted(self._live):
                yield LiveDelta(*call, Delta(reset=True))
            self._live.clear()
            if gone is not None:
                raise self._gone() from gone
            await asyncio.sleep(waits.next())

    async def _connection(self) -> AsyncGenerator[Recorded | LiveDelta]:
        """What one connection brings. Ends with the task; raises Broken where it ends before."""
        reader = sse.Reader()
        headers = {"Accept": "text/event-stream", "Last-Event-ID": sse.encode_after(self._seen).decode()}
        path = path_of("tasks", self._task, "events") + f"?tree={str(self._tree).lower()}&ids=false"
        async with self._transport.stream(path, headers=headers) as pieces:
            self._open = True
            async for piece in pieces:
                for frame in reader.feed(piece):
                    if frame.event == sse.END:
                        if _end.decode(frame.data).reason == "done":
                            return
                        raise Broken("the host ended the stream")
                    item = self._read(frame)
                    if item is not None:
                        yield item
        raise Broken("the stream was cut")

    def _read(self, frame: sse.Frame) -> Recorded | LiveDelta | None:
        try:
            if frame.event == sse.RECORDED:
                return self._event(_recorded.decode(frame.data))
            if frame.event == sse.DELTA:
                delta = _delta.decode(frame.data)
                self._live.add((delta.task, delta.command, delta.attempt))
                return delta
        except msgspec.DecodeError as error:
            raise NewerVersion(
                f"the host sends what this client doesn't know ({error}); use a client of the host's version"
            ) from error
        if frame.event == sse.PROBLEM:
            raise decode_problem(frame.data) or AgentHostError("the host ended the stream with an error")
        return None

    def _event(self, recorded: Recorded) -> Recorded | None:
        last = self._seen.get(recorded.task, 0)
        if recorded.seq <= last:
            return None
        self._seen[recorded.task] = recorded.seq
        event = recorded.event
        if isinstance(event, Answered | Retried):
            self._live = {call for call in self._live if call[:2] != (recorded.task, event.command)}
        return recorded

    def _gone(self) -> HostUnreachable:
        return HostUnreachable(
            f"the host at {self._transport.address} has gone while the task {self._task} was followed; the task is kept "
            f"and goes on when the host is started again. Then: agenthost tasks follow {self._task}"
        )


class Watcher:
    """Everybody's events, for ever, over connections that may break. Without a place to begin at, what happens before the
    first event has come over a broken connection is not told again."""

    def __init__(self, transport: Transport, after: int | None, person: str) -> None:
        self._transport = transport
        self._after = after
        self._person = person

    async def items(self) -> AsyncGenerator[tuple[int, Recorded]]:
        """Events with their places. Raises HostUnreachable where the host has gone for long."""
        loop = asyncio.get_running_loop()
        waits, gone_since = Waits(), loop.time()
        while True:
            try:
                async with aclosing(self._connection()) as items:
                    async for item in items:
                        waits.progress()
                        self._after, gone_since = item[0], loop.time()
                        yield item
            except Broken:
                gone_since = loop.time()
            except HostUnreachable:
                if loop.time() - gone_since > self._transport.timing.absent:
                    raise
            await asyncio.sleep(waits.next())

    async def _connection(self) -> AsyncGenerator[tuple[int, Recorded]]:
        reader = sse.Reader()
        query = {"person": self._person}
        if self._after is not None:
            query["cursor"] = encode_cursor(self._after) or encode_cursor("0")
        path = path_of("events") + "?" + urlencode(query)
        async with self._transport.stream(path, headers={"Accept": "text/event-stream"}) as pieces:
            async for piece in pieces:
                for frame in reader.feed(piece):
                    if frame.event == sse.PLACED:
                        placed = _placed.decode(frame.data)
                        yield placed.place, placed.event
                    elif frame.event == sse.PROBLEM:
                        raise decode_problem(frame.data) or AgentHostError("the host ended the stream with an error")
        raise Broken("the stream was cut")
