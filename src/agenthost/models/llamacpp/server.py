"""One model's child: started when it is first needed, watched, stopped when nobody uses it, started again when it dies."""

import asyncio
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from agenthost.core.errors import AgentHostError, Temporary, Unavailable
from agenthost.core.machines import Hold, Machine
from agenthost.core.models import Delta
from agenthost.models.llamacpp import backend as backends
from agenthost.models.llamacpp.backend import Backend, Start
from agenthost.models.llamacpp.gguf import in_words
from agenthost.models.llamacpp.process import Child, start
from agenthost.models.llamacpp.queue import FairQueue, Who
from agenthost.models.openai.connection import Sessions

Tell = Callable[[Delta], None]
Renew = Callable[[Start], Awaitable[Start]]
"""The same, or another where the files are others now."""

_CRASHES = 3  # within _WHILE: then it isn't started again before that time is over
_WHILE = 60.0
_EVERY = 5.0  # seconds between two words on a load that goes on
_LOOK = 0.1  # seconds between two looks at a server that loads
_LOOK_PATIENCE = 2.0


class Running(Struct, frozen=True):
    """A child that serves. `base` is its API's address; only who has the key is answered."""

    child: Child
    base: URL
    key: str
    sessions: Sessions
    hold: Hold | None


class Server:
    """The child of one model and the queue for its slots. For one event loop; all may be called at the same time."""

    def __init__(
        self,
        backend: Backend,
        start: Start,
        keep: float,
        timeout: float,
        machine: Machine | None,
        environ: Mapping[str, str],
        renew: Renew,
    ) -> None:
        self.start = start
        self.backend = backend
        self._keep = keep
        self._timeout = timeout
        self._machine = machine
        self._environ = environ
        self._renew = renew
        self._queue = FairQueue(start.plan.slots)
        self._lock = asyncio.Lock()
        self._running: Running | None = None
        self._busy = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._crashes: deque[float] = deque(maxlen=_CRASHES)
        self._last_words = ""
        self._later: set[Future[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def running(self) -> Running | None:
        """The child that serves, if one does."""
        running = self._running
        return running if running is not None and running.child.alive else None

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return self._queue.waiting

    @asynccontextmanager
    async def turn(self, who: Who, tell: Tell) -> AsyncGenerator[Running]:
        """A slot of the running child, when it is this one's turn. Raises Unavailable where it can't be run here, and Temporary."""
        name = self.start.name

        def place(before: int) -> None:
            tell(Delta(notice=f"waiting for {name}" + (f", {before} before" if before else ", next")))

        async with self._queue.turn(who, place):
            self._busy += 1
            self._hush()
            try:
                yield await self._ready(tell)
            finally:
                self._busy -= 1
                if not self._busy and not self._closed:
                    self._timer = self._loop.call_later(self._keep, self._idle)

    def answered(self) -> None:
        """It works: what went wrong before doesn't count."""
        self._crashes.clear()

    async def look(self) -> None:
        """Go by the files as they are now; while a child runs, it has those of its start. Raises as `Renew` does."""
        start = await self._renew(self.start)
        if self.running is None and not self._lock.locked():
            self._take(start)

    def _take(self, start: Start) -> None:
        if start is not self.start:
            self.start = start
            self._queue.resize(start.plan.slots)

    async def stop(self) -> None:
        """End the child and give its memory back. The next request starts it again."""
        async with self._lock:
            await self._clear()

    async def close(self) -> None:
        """End for good: whoever still waits for a turn is told so."""
        self._closed = True
        self._hush()
        await self.stop()
        for later in list(self._later):
            with suppress(AgentHostError):
                await asyncio.wrap_future(later)

    # --- starting ---------------------------------------------------------------------------------

    async def _ready(self, tell: Tell) -> Running:
        if self._lock.locked():
            tell(Delta(notice=f"waiting for {self.start.name} to be loaded"))
        async with self._lock:
            if self._closed:
                raise Unavailable(f"the host ends; {self.start.name} isn't started any more")
            if self._running is not None and self._running.child.alive:
                return self._running
            await self._clear()
            now = time.monotonic()
            if len(self._crashes) == _CRASHES and now - self._crashes[0] < _WHILE:
                raise Unavailable(
                    f"llama.cpp ended {_CRASHES} times in {_WHILE:.0f} seconds with the model {self.start.name}; it is tried "
                    f"again after a minute. {self._last_words}"
                )
            self._running = await self._launch(tell)
            return self._running

    async def _launch(self, tell: Tell) -> Running:
        self._take(await self._renew(self.start))
        plan, name = self.start.plan, self.start.name
        hold = None
        if self._machine is not None:
            hold = await self._machine.hold(
                plan.need, f"model {name}", lambda line: tell(Delta(notice=line)), self._reclaim
            )
        size = in_words(self.start.header.size)
        tell(Delta(notice=f"loading {name} ({size}, {plan.slots} × {plan.context:,} tokens)"))
        sessions = Sessions({})
        child = None
        try:
            for last in (False, False, True):
                key = secrets.token_urlsafe(32)
                child, base = await self._spawn(key)
                try:
                    await self._healthy(child, base, key, tell)
                    return Running(child, await base, key, sessions, hold)
                except Unavailable:
                    if last or child.alive or not base.done() or not _taken((await base).port or 0):
                        raise
        except BaseException:
            # Whoever was cancelled doesn't leave a child behind that nobody knows of.
            await asyncio.shield(self._undo(child, sessions, hold))
            raise
        raise AssertionError("the last try returns or raises")

    async def _undo(self, child: Child | None, sessions: Sessions, hold: Hold | None) -> None:
        try:
            if child is not None:
                await child.stop()
            await sessions.close()
        finally:
            if hold is not None:
                await hold.release()

    async def _spawn(self, key: str) -> tuple[Child, "asyncio.Future[URL]"]:
        """A child that begins to load, and where it will serve."""
        base: asyncio.Future[URL] = self._loop.create_future()
        port = 0
        if self.backend.kind == "llama-server":
            port = _free_port()
            base.set_result(URL(f"http://127.0.0.1:{port}/v1"))
        command = backends.command_of(self.backend, self.start, port)
        env = backends.environment_of(self.backend, self.start, key, self._environ)
        # Whatever may fail comes before the child: nobody would end it.
        orders = b""
        if self.backend.kind == "xllamacpp":
            template = await asyncio.to_thread(_template, self.start.settings.chat_template)
            orders = backends.orders_of(self.start, key, template)
        try:
            child = await start(command, env, self._gone)
        except OSError as error:
            raise Unavailable(f"{command[0]} can't be run: {error.strerror}") from None
        if orders:
            child.write(orders)
        return child, base

    async def _healthy(self, child: Child, base: "asyncio.Future[URL]", key: str, tell: Tell) -> None:
        """Wait until the model is loaded and the server answers."""
        began = told = self._loop.time()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_LOOK_PATIENCE)) as session:
            while child.alive:
                if not base.done() and child.first.done() and not child.first.cancelled():
                    base.set_result(URL(msgspec.json.decode(child.first.result(), type=_Serving).url) / "v1")
                if base.done() and await _answers(session, await base, key):
                    return
                now = self._loop.time()
                if now - began > self._timeout:
                    raise Unavailable(
                        f"the model {self.start.name} wasn't loaded in {self._timeout:.0f} seconds; a larger "
                        "[models.llamacpp] start-timeout allows more"
                    )
                if now - told >= _EVERY:
                    told = now
                    tell(Delta(notice=f"loading {self.start.name}: {now - began:.0f} s"))
                waited = [child.ended] if base.done() or child.first.done() else [child.ended, child.first]
                await asyncio.wait(waited, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        words = f"llama.cpp {child.ending} while it loaded {self.start.name}"
        said = f". It said: {child.last_words}" if child.last_words else ""
        if child.ended.result() < 0:
            raise Temporary(f"{words}{said}", code="model-ended")
        raise Unavailable(
            f"{words}{said}. Fetch the file again, or take a newer llama.cpp: `agenthost doctor` names this one"
        )

    # --- ending -----------------------------------------------------------------------------------

    def _gone(self, child: Child) -> None:
        """Called by the loop when a child has ended, whyever."""
        if child.wanted:
            return
        self._crashes.append(time.monotonic())
        self._last_words = f"It said: {child.last_words}" if child.last_words else ""
        if self._running is not None and self._running.child is child:
            self._run_later(self._forget(child))

    async def _forget(self, child: Child) -> None:
        async with self._lock:
            if self._running is not None and self._running.child is child:
                await self._clear()

    async def _clear(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            # Whoever is cancelled meanwhile leaves neither a child behind nor memory that is held for one.
            done = self._run_later(self._undo(running.child, running.sessions, running.hold))
            await asyncio.shield(asyncio.wrap_future(done))

    def _hush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _idle(self) -> None:
        self._timer = None
        self._run_later(self._reclaim())

    async def _reclaim(self) -> None:
        """Give the memory back if nobody uses it."""
        if not self._busy and not self._lock.locked():
            await self.stop()

    def _run_later(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """From a callback of the loop: keep what it starts until it has ended."""
        later: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._later.add(later)
        later.add_done_callback(self._later.discard)
        return later


class _Serving(Struct):
    url: str


async def _answers(session: aiohttp.ClientSession, base: URL, key: str) -> bool:
    """Whether the model is loaded, and the server is ours: it knows the key, and wants it."""
    closed, ours = base.with_path("/props"), {"Authorization": f"Bearer {key}"}
    return (
        await _status(session, base.with_path("/health")) == 200
        and await _status(session, closed) == 401
        and await _status(session, closed, ours) not in (0, 401)
    )


async def _status(session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str] | None = None) -> int:
    try:
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            return response.status
    except (aiohttp.ClientError, OSError):
        return 0


def _free_port() -> int:
    """A port of loopback that nobody uses. Somebody may take it before the child does: then the child ends, and gets another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _taken(port: int) -> bool:
    """Whether somebody listens on that port of loopback."""
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _template(path: str) -> str:
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"the chat template {path} can't be read: {error}") from None
