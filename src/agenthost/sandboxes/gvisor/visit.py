"""One run in a container: its request and files go in, its output and what it changed come out."""

import asyncio
import time
from typing import Any

from agenthost.core.errors import Temporary
from agenthost.core.sandboxes import MIB, SandboxOutcome
from agenthost.sandboxes.attached.channel import Link
from agenthost.sandboxes.gvisor.sync import Record
from agenthost.sandboxes.inside import records
from agenthost.sandboxes.inside.frames import Channel, Handler

_LONGEST_HEAD = 1 << 20
# Output beyond the limit is dropped; beyond this many limits (or bytes) more the run is ended.
_PATIENCE, _LEAST_PATIENCE = 64, 4 * MIB
# The porter answers a request to end a run within this many seconds, or it is given up.
_GRACE = 20.0


class _Kept:
    """The beginning and the end of one stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.seen = 0

    def add(self, piece: bytes) -> None:
        self.seen += len(piece)
        room = self._limit - self._half - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:]
        if len(self._tail) > self._half + 65536:
            del self._tail[: len(self._tail) - self._half]

    def finish(self) -> tuple[bytes, int]:
        kept = bytes(self._head + (self._tail[-self._half :] if self._half else b""))
        return kept, self.seen - len(kept)


class Visit(Handler):
    """A run as the host sees it. `most` bounds the bytes of changed files that are taken."""

    def __init__(self, output: int, most: int) -> None:
        self._streams = {1: _Kept(output), 2: _Kept(output)}
        self._patience = max(output * _PATIENCE, _LEAST_PATIENCE)
        self._reader = records.Reader(_LONGEST_HEAD, self._head, self._content, lambda: None)
        self._most = most
        self._channel: Channel | None = None
        self._link: Link | None = None
        self._limit = ""
        self._exit: dict[str, Any] | None = None
        self._duration = 0.0
        self._began = 0.0
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.changes: list[Record] = []

    def begin(self, link: Link, request: dict[str, Any], stdin: bytes, files: list[Record]) -> None:
        """Send everything. What the container can't take yet waits in the channel."""
        self._link = link
        channel = self._channel = link.open(b'{"do": "run"}', self)
        for head, content in files:
            channel.send(records.pack(head) + content)
        channel.send(records.pack({"run": request}))
        channel.send(stdin, 1)
        channel.send(records.pack({"eof": True}))
        link.flush()
        self._began = time.monotonic()

    async def outcome(self, timeout: float) -> SandboxOutcome:
        """Wait for the end, or bring it about. Raises Temporary where the container is lost."""
        done, _ = await asyncio.wait([self._over], timeout=timeout)
        if not done:
            self._end_for("time")
            done, _ = await asyncio.wait([self._over], timeout=_GRACE)
        if self._exit is None or not done:
            why = self._over.result() if done else "it doesn't answer"
            raise Temporary(
                f"The container was lost during this run: {why or 'no reason given'}", code="sandbox", sent=True
            )
        if "error" in self._exit:
            raise Temporary(f"The sandbox could not be made for this run: {self._exit['error']}", code="sandbox")
        if self._channel is not None:
            self._channel.end()
        if self._link is not None:
            self._link.flush()
        (stdout, cut_out), (stderr, cut_err) = (self._streams[lane].finish() for lane in (1, 2))
        code, limit = int(self._exit.get("exit", 137)), str(self._exit.get("limit", ""))
        return SandboxOutcome(code, stdout, stderr, self._duration, limit or self._limit, cut_out + cut_err)

    def _end_for(self, limit: str) -> None:
        if not self._limit and self._channel is not None and self._link is not None:
            self._limit = limit
            self._channel.send(records.pack({"kill": limit}))
            self._link.flush()

    def _head(self, head: dict[str, Any]) -> None:
        if self._exit is None:
            self._exit = head
            self._duration = time.monotonic() - self._began
            return
        self._most -= int(head.get("size") or 0) + 4096
        if self._most < 0:
            raise records.Broken("more changed than the run was allowed")
        self.changes.append((head, b""))

    def _content(self, piece: bytes) -> None:
        head, content = self.changes[-1]
        self.changes[-1] = (head, content + piece)

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        if lane in self._streams:
            self._streams[lane].add(body)
            if self._streams[lane].seen > self._patience:
                self._end_for("output")
        else:
            self._reader.feed(body)
        channel.grant(len(body))

    def ended(self, channel: Channel) -> None:
        if not self._over.done():
            self._over.set_result("")

    def reset(self, channel: Channel, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason or "reset")
