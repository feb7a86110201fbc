"""One container as the host sees it: runs in it, connections into it, and connections out of it."""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar, cast

import msgspec

from agenthost.core.errors import BadInput, Temporary, Unavailable
from agenthost.core.ports import Connection
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxRun
from agenthost.sandboxes.attached.boot import code
from agenthost.sandboxes.attached.channel import Line, Link, Pipe
from agenthost.sandboxes.attached.streams import Kept
from agenthost.sandboxes.attached.sync import Incoming, Outgoing, TooMuch
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.handling import Handling
from agenthost.sandboxes.inside import records
from agenthost.sandboxes.inside.frames import Broken, Channel, Handler
from agenthost.sandboxes.inside.tree import Tree
from agenthost.sandboxes.surely import surely

ENVIRONMENT = {"HOME": "/tmp", "LANG": "C.UTF-8", "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
"""Of a room's first process and of every run, beside the image's own."""

Accept = Callable[[Pipe, tuple[str, int]], None]
"""Takes a connection that was made inside to the local address given."""
Answer = Callable[[bytes], bytes | None]
"""Answers a datagram, or doesn't."""

_KILLED = 137
_START_SECONDS = 30.0
# What a room has to tell its end after it was told to end a run.
_GRACE = 15.0
# How long a room may keep the host waiting before a run and after it, in seconds; the more it moves, the longer.
_PATIENCE = 60.0
_ENTRY_SECONDS = 0.005
_LEAST_RATE = 1 * MIB
_LONGEST_HEAD = 256 * 1024
_LONGEST_REQUEST = 4 * 1024 * 1024
_LONGEST_WORD = 1000
_SLACK = 64 * MIB

T = TypeVar("T")


class Room:
    """A container with our process in it. `end` is called once to destroy it, and says why it ended, where that is
    known: `memory`, or nothing. `uncounted`: where the container doesn't bound processes itself, how many of a run's
    its kernel doesn't count. Use it from one loop."""

    def __init__(self, line: Line, end: Callable[[], Awaitable[str]], uncounted: int | None = None) -> None:
        self._line = line
        self.uncounted = uncounted
        self._end = end
        self._link = Link(line, self._opened)
        self._up: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._lock = asyncio.Lock()
        self._tree: Tree | None = None
        self._visit: _Visit | None = None
        self._unwanted = False
        self._accepting: dict[int, Accept] = {}
        self._answering: dict[int, Answer] = {}
        self._ended: asyncio.Future[str] | None = None
        self.spoiled = False

    async def start(self) -> None:
        """Send our process its code and wait until it is there. Raises Unavailable with what it lacks."""
        self._link.start()
        self._line.write(await asyncio.to_thread(code))
        done, _ = await asyncio.wait(
            [self._up, self._link.ended], timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if self._up not in done:
            why = self._link.ended.result() if self._link.ended.done() else "it didn't answer"
            raise Unavailable(f"The container's Python doesn't start: {why}. Its image needs python3, 3.9 or newer.")
        if problem := self._up.result().get("problem", ""):
            raise Unavailable(f"The container can't be used: {str(problem)[:_LONGEST_WORD]}")

    @property
    def greeting(self) -> dict[str, Any]:
        """What its Python told of itself, once it has started; not to be trusted."""
        return self._up.result()

    @property
    def alive(self) -> bool:
        return self._link.alive and not self.spoiled

    @property
    def hung_up(self) -> asyncio.Future[str]:
        """Done when nothing more comes from it, with the reason: it died, broke the rules, or was closed."""
        return self._link.ended

    async def close(self) -> str:
        """Destroy the room; why it had ended, where that is known. It is gone when this returns, also when cancelled."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
            self._link.end("closed")
            await surely(self._destroy(self._ended))
        return await asyncio.shield(self._ended)

    async def _destroy(self, ended: asyncio.Future[str]) -> None:
        why = ""
        try:
            why = await self._end()
        finally:
            ended.set_result(why)

    # --- runs --------------------------------------------------------------------------------

    async def run(
        self, run: SandboxRun, egress: Egress | None = None, begun: Callable[[], None] | None = None
    ) -> SandboxOutcome:
        """Run to the end, one at a time, in the room's workspace. The first run decides which folder that is.
        `egress`: its way out. `begun` is called when it was asked for."""
        async with self._lock:
            if self._tree is None:
                self._tree = Tree(run.workspace, cleaning=False)
            async with AsyncExitStack() as stack:
                stack.enter_context(self._link.in_use())
                if egress is not None:
                    await self._let_out(egress, stack)
                self._visit = _Visit(self._link, run, self._tree, self, begun)
                if self._unwanted:
                    self._visit.kill("")
                outcome = await self._visit.outcome()
        refused = egress.refused() if egress is not None else b""
        return msgspec.structs.replace(outcome, stderr=outcome.stderr + refused) if refused else outcome

    async def _let_out(self, egress: Egress, stack: AsyncExitStack) -> None:
        """Listen inside as `egress` wants it, until `stack` is closed. Raises Temporary where that can't be done."""
        handling = Handling(egress, lambda: None)

        def accept(pipe: Pipe, local: tuple[str, int]) -> None:
            if handling.full:
                # Our process waits then; another can give channels up and open new ones faster than any is served.
                pipe.give_up("too many are being served")
            else:
                handling.take(pipe, local)

        stack.push_async_callback(handling.close)
        try:
            async with asyncio.timeout(_START_SECONDS):
                for port in egress.ports:
                    stack.callback(await self.listen(port, accept, "0.0.0.0"))
                stack.callback(await self.answer(53, egress.answer))
        except OSError as problem:
            self.spoiled = True
            raise Temporary(f"The sandbox can't open its way out: {problem}", code="sandbox") from problem

    def kill(self) -> None:
        """End the run that goes on, or the first one where none has begun yet: its exit code is 137, and what it
        changed still comes."""
        if self._visit is not None:
            self._visit.kill("")
        self._unwanted = self._visit is None

    async def connect(self, port: int) -> Connection:
        """A connection to what listens inside. Raises ConnectionRefusedError while nothing does."""
        pipe = Pipe(self._link)
        pipe.channel = self._link.open(json.dumps({"do": "connect", "port": port}).encode(), pipe)
        try:
            await self._joined(pipe)
        except ConnectionResetError as problem:
            raise ConnectionRefusedError(f"nothing listens on port {port} in the sandbox") from problem
        return pipe

    async def _joined(self, pipe: Pipe) -> None:
        """Wait for the byte that says so. Where that doesn't come, nothing of the channel stays."""
        try:
            if not await pipe.read(1):
                raise ConnectionResetError("the room hung up")
        except BaseException:
            pipe.give_up("given up")
            raise

    async def listen(self, port: int, accept: Accept, address: str = "127.0.0.1") -> Callable[[], None]:
        """Take connections to a TCP port inside, until what is given back is called. Raises OSError where that can't
        be listened on."""
        return await self._listen("tcp", port, address, self._accepting, accept)

    async def answer(self, port: int, answer: Answer, address: str = "127.0.0.1") -> Callable[[], None]:
        """Take datagrams to a UDP port inside, as `listen` does."""
        return await self._listen("udp", port, address, self._answering, answer)

    async def _listen(
        self, kind: str, port: int, address: str, listening: dict[int, T], handler: T
    ) -> Callable[[], None]:
        pipe = Pipe(self._link)
        asked = {"do": "listen", "kind": kind, "port": port, "address": address}
        pipe.channel = channel = self._link.open(json.dumps(asked).encode(), pipe)
        listening[channel.number] = handler  # before it is answered: the first connection may come with the answer
        try:
            await self._joined(pipe)
        except BaseException:
            self._leave(channel)
            raise
        return lambda: self._leave(channel)

    def _leave(self, channel: Channel) -> None:
        self._accepting.pop(channel.number, None)
        self._answering.pop(channel.number, None)
        channel.end()
        self._link.flush()

    # --- what the room opens -----------------------------------------------------------------

    def _opened(self, channel: Channel, body: bytes) -> Handler:
        try:
            told = _object(json.loads(body))
            if "hello" in told:
                if self._up.done():
                    raise Broken("a second greeting")
                self._up.set_result(told)
                return _Closing()
            listener = told["listener"]
            address, port = told["local"]
            local = (str(address)[:_LONGEST_WORD], int(port))
            answer, accept = self._answering.get(listener), self._accepting.get(listener)
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as problem:
            raise Broken("a channel that nobody asked for") from problem
        if answer is not None:
            return _Question(answer)
        pipe = Pipe(self._link)
        pipe.channel = channel
        if accept is not None:
            accept(pipe, local)
        else:
            channel.give_up("nobody listens any more")
        return pipe


class _Question(Handler):
    """A datagram that is answered."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._body = b""

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        self._body += body  # no more than a window, as none of it is granted

    def ended(self, channel: Channel) -> None:
        if (said := self._answer(self._body)) is not None:
            channel.send(said)
        channel.end()


def _object(told: object) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise TypeError("no object")
    return cast(dict[str, Any], told)


class _Closing(Handler):
    def ended(self, channel: Channel) -> None:
        channel.end()


class _Visit(Handler):
    """One run from its request to its outcome."""

    def __init__(
        self, link: Link, run: SandboxRun, tree: Tree, room: Room, begun: Callable[[], None] | None = None
    ) -> None:
        self._link = link
        self._begun = begun
        self._room = room
        self._run = run
        self._tree = tree
        self._channel: Channel | None = None
        self._kept = (Kept(run.policy.output), Kept(run.policy.output))
        self._stdin = memoryview(run.stdin)
        self._sending = False
        self._request = request(run, room.uncounted)
        self._incoming = Incoming(tree)
        self._reader = records.Reader(_LONGEST_HEAD, self._head, self._incoming.content, self._incoming.done)
        self._exit: dict[str, Any] | None = None
        self._limit = ""
        self._asked = self._killed = self._over = False
        self._deadline = math.inf
        self._patience = _PATIENCE
        self._lost: str | None = None
        self._came = 0
        self._changed = asyncio.Event()
        self.began = self.ended_at = 0.0

    # --- from the room -----------------------------------------------------------------------

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        if lane == 0:
            self._came += len(body)
            try:
                self._reader.feed(body)
            except TooMuch:
                self._limit = self._limit or "disk"
                raise
            self._changed.set()
            return
        if lane not in (1, 2):
            raise Broken("a lane that isn't there")
        if self._exit is not None:
            raise Broken("output after the run's end")
        channel.grant(len(body))
        if not self._kept[lane - 1].add(body) and not self._limit:
            self.kill("output")

    def _head(self, head: dict[str, Any]) -> None:
        if not self._asked:
            raise Broken("a record before there was a run")
        if "size" in head and "file" not in head:
            raise Broken("content of nothing")
        if self._exit is not None:
            self._incoming.head(head)
        elif "exit" in head or "error" in head:
            self._exit = head
            self.ended_at = time.monotonic()
        else:
            raise Broken("a record before the run's end")

    def ended(self, channel: Channel) -> None:
        if self._exit is None or not self._reader.between:
            raise Broken("a run's end before its last word")
        self._over = True
        self._changed.set()
        channel.end()

    def reset(self, channel: Channel, reason: str) -> None:
        self._lost = self._lost or reason or "given up"
        self._changed.set()

    def ready(self, channel: Channel) -> None:
        if self._sending:
            self._feed()
        self._changed.set()

    # --- the host's part ---------------------------------------------------------------------

    def kill(self, limit: str) -> None:
        """End the run and everything it started; what it changed still comes."""
        self._limit = self._limit or limit
        self._deadline = min(self._deadline, time.monotonic() + _GRACE)
        self._changed.set()
        if self._asked and not self._killed:
            self._tell_to_end()
        self._killed = True

    def _tell_to_end(self) -> None:
        self._link.open(b'{"do": "kill"}', _Closing()).end()
        self._link.flush()

    async def outcome(self) -> SandboxOutcome:
        self._channel = channel = self._link.open(b'{"do": "run"}', self)
        try:
            try:
                await self._send(channel)
                await self._follow()
            except OSError as problem:
                raise Temporary(f"The workspace can't be read or written here: {problem}", code="disk") from problem
        except BaseException:
            self._room.spoiled = True
            channel.give_up("cancelled")
            self._link.flush()
            await surely(self._room.close())
            raise
        finally:
            self._incoming.close()
        return await self._told()

    async def _send(self, channel: Channel) -> None:
        outgoing = Outgoing(self._tree)
        known, sent, entries = self._tree.size(), 0, 0
        while (batch := await surely(asyncio.to_thread(outgoing.batch))) and self._lost is None:
            sent += len(batch)
            self._moved(len(batch), outgoing.entries - entries)
            entries = outgoing.entries
            channel.send(batch)
            self._link.flush()
            while channel.pending and self._lost is None:
                await self._wait_for_room()
        # It may have changed every file that it has.
        self._incoming.most = known + sent + self._run.policy.disk + _SLACK
        self.began = time.monotonic()
        self._deadline = min(self._deadline, self.began + self._run.policy.timeout)
        channel.send(self._request)
        self._asked = self._sending = True
        self._feed()
        if self._killed:
            self._tell_to_end()
        if self._begun is not None:
            self._begun()

    def _feed(self) -> None:
        channel = self._channel
        while channel is not None and not channel.pending and self._sending:
            if not self._stdin:
                self._sending = False
                channel.send(records.pack({"stdin": True}))
                break
            channel.send(bytes(self._stdin[:65536]), 1)
            self._stdin = self._stdin[65536:]
        self._link.flush()

    async def _follow(self) -> None:
        while self._lost is None:
            over = self._over
            await self._apply()
            if over:
                return
            if self._over or (self._came and self._exit is not None):
                continue
            if self._exit is not None:
                await self._wait_for_room()
            elif (left := self._deadline - time.monotonic()) > 0:
                await self._wait(left)
            elif not self._killed:
                self._deadline = math.inf
                self.kill("time")
            else:
                self._lost = "it didn't end the run"

    async def _apply(self) -> None:
        came, self._came = self._came, 0
        if todo := self._incoming.take():
            # A thread can't be stopped: cancelled, it is waited for before anything of it is taken away.
            await surely(asyncio.to_thread(self._incoming.apply, todo))
            self._moved(came, sum(what in ("file", "gone", "folders") for what, _ in todo))
        if came and self._channel is not None:
            self._channel.grant(came)
            self._link.flush()

    def _moved(self, size: int, entries: int) -> None:
        self._patience += size / _LEAST_RATE + entries * _ENTRY_SECONDS

    async def _wait_for_room(self) -> None:
        """Wait for the room's next word, as long as there is patience."""
        began = time.monotonic()
        await self._wait(max(self._patience, 0))
        self._patience -= time.monotonic() - began
        if self._patience <= 0 and self._lost is None:
            self._lost = "it doesn't go on"

    async def _wait(self, timeout: float) -> None:
        if self._lost is not None:
            return
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _told(self) -> SandboxOutcome:
        (stdout, cut_out), (stderr, cut_err) = (kept.finish() for kept in self._kept)
        duration = max((self.ended_at or time.monotonic()) - self.began, 0.0)
        limit, code = self._limit, _KILLED
        if self._lost is not None or self._exit is None:
            self._room.spoiled = True
            limit = await surely(self._room.close()) or limit
            if not limit:
                raise Temporary(
                    f"The sandbox's container ended during this run: {self._lost}", code="sandbox", sent=True
                )
        elif "error" in self._exit:
            said = str(self._exit["error"])[:_LONGEST_WORD]
            raise Temporary(f"The sandbox could not be made for this run: {said}", code="sandbox")
        else:
            told, code = self._exit.get("limit", ""), self._exit["exit"]
            if told not in ("", "time", "memory", "disk", "processes") or type(code) is not int or not 0 <= code < 256:
                self._room.spoiled = True
                await surely(self._room.close())
                raise Temporary("The sandbox told an end that can't be.", code="sandbox", sent=True)
            limit = told or (limit if code == _KILLED else "")
        return SandboxOutcome(code, stdout, stderr, duration, limit, cut_out + cut_err)


def request(run: SandboxRun, uncounted: int | None = None) -> bytes:
    """The record that asks the room for a run. Raises BadInput where its words are too long."""
    policy = run.policy
    asked = {
        "argv": run.argv,
        "env": {**ENVIRONMENT, "PYTEST_ADDOPTS": "-p no:cacheprovider", **dict(run.env)},
        "cwd": run.cwd,
        "memory": policy.memory,
        "disk": policy.disk,
        "processes": policy.processes - (uncounted or 0),
        "counted": uncounted is not None,  # else the container's own limit does
        "cpu": 0,
        "turn": 0,
        "cpu_seconds": math.ceil(policy.timeout * math.ceil(policy.cpu)) + 1,
    }
    record = records.pack({"run": asked})
    if len(record) > _LONGEST_REQUEST:
        raise BadInput("A run's words are too long. Put what is long into a file of the workspace.")
    return record
