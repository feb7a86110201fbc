"""Follows a task to its end: tells what happens, asks where the task waits for a person, minds Ctrl-C."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from agenthost.cli import asking
from agenthost.cli.connect import Reached
from agenthost.cli.render.moments import Asks, Moment
from agenthost.cli.render.view import View
from agenthost.cli.screen import Screen
from agenthost.cli.tell import Teller, teller
from agenthost.cli.views import make_view
from agenthost.core.api import LiveDelta
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError, Conflict, HostUnreachable
from agenthost.core.events import Recorded

SOON = 60.0
"""Seconds within which a question's default is waited for where nobody can be asked here."""

FRAME = 0.1
"""Seconds between two drawings of the live display."""
SECOND_PRESS = 1.5
"""Seconds in which a second Ctrl-C cancels."""
ECHO = 0.1
"""Seconds in which another SIGINT is the same key press: the terminal and a parent process may both send it."""


class Typed(Struct, frozen=True):
    """A line that a person typed; None at the end of the input."""

    text: str | None


class Over(Struct, frozen=True):
    """The task has ended, or could not be followed any longer."""

    error: AgentHostError | None = None


class Pressed(Struct, frozen=True):
    """Ctrl-C."""


class Tick(Struct, frozen=True):
    """Time to draw anew."""


Heard = Recorded | LiveDelta | Typed | Over | Pressed | Tick


async def follow(host: Reached, screen: Screen, task: str) -> tuple[int | None, View]:
    """Follow `task`; None when it has ended, else the exit code (4: it waits for a person, 130: interrupted)."""
    view = await make_view(host.api, task)
    queue: asyncio.Queue[Heard] = asyncio.Queue()
    with _ctrl_c(queue):
        async with _feeding(host, task, queue, screen.live):
            with teller(screen, view) as told:
                return await _Following(host, screen, view, queue, told).go(), view


@asynccontextmanager
async def _feeding(host: Reached, task: str, queue: "asyncio.Queue[Heard]", ticking: bool) -> AsyncGenerator[None]:
    failed: AgentHostError | None = None
    async with asyncio.TaskGroup() as group:
        feeders = [group.create_task(_feed(host, task, queue))]
        if ticking:
            feeders.append(group.create_task(_tick(queue)))
        try:
            yield
        except AgentHostError as error:
            # Out of the group it is itself; within, it would come out wrapped.
            failed = error
        finally:
            for feeder in feeders:
                feeder.cancel()
    if failed is not None:
        raise failed


async def _feed(host: Reached, task: str, queue: "asyncio.Queue[Heard]") -> None:
    seen: dict[str, int] = {}
    while True:
        try:
            async for item in host.api.follow(task, seen):
                if isinstance(item, Recorded):
                    seen[item.task] = item.seq
                await queue.put(item)
            await queue.put(Over())
            return
        except HostUnreachable as error:
            gone = await _renewed(host, error)
            if gone is not None:
                await queue.put(Over(gone))
                return
        except AgentHostError as error:
            await queue.put(Over(error))
            return


async def _renewed(host: Reached, error: AgentHostError) -> AgentHostError | None:
    """Have another host in the place of the one that went; why not, where there is none."""
    try:
        return None if await host.renew() else error
    except AgentHostError as worse:
        return worse


async def _tick(queue: "asyncio.Queue[Heard]") -> None:
    while True:
        await asyncio.sleep(FRAME)
        if queue.empty():
            await queue.put(Tick())


@contextmanager
def _ctrl_c(queue: "asyncio.Queue[Heard]") -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, queue.put_nowait, Pressed())
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


@contextmanager
def _typing(queue: "asyncio.Queue[Heard]") -> Generator[None]:
    """Lines typed on stdin come into the queue. The terminal itself edits the line."""
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno()

    def read() -> None:
        got = os.read(stdin, 65536)
        if not got:
            loop.remove_reader(stdin)
        queue.put_nowait(Typed(got.decode(errors="replace") if got else None))

    loop.add_reader(stdin, read)
    try:
        yield
    finally:
        loop.remove_reader(stdin)


class _Following:
    """One follower: what it has heard, and what it does about it."""

    def __init__(self, host: Reached, screen: Screen, view: View, queue: "asyncio.Queue[Heard]", told: Teller) -> None:
        self._host = host
        self._screen = screen
        self._view = view
        self._queue = queue
        self._teller = told

    async def go(self) -> int | None:
        while True:
            heard = await self._queue.get()
            match heard:
                case Recorded() | LiveDelta():
                    for moment in self._take(heard):
                        if isinstance(moment, Asks) and (code := await self._asks(moment)) is not None:
                            return code
                case Over():
                    if heard.error is not None:
                        raise heard.error
                    return None
                case Pressed():
                    if (code := await self._pressed()) is not None:
                        return code
                case Tick():
                    self._teller.tick()
                case Typed():
                    continue

    def _take(self, item: Recorded | LiveDelta) -> list[Moment]:
        moments = self._view.take(item)
        self._teller.tell(item, moments)
        return moments

    async def _asks(self, moment: Asks) -> int | None:
        key = (moment.task, moment.ask.id)
        if not await self._open(key):
            return None
        if self._screen.asks:
            return await self._answer(moment.task, moment.ask)
        if moment.ask.kind == "tool" or (moment.ask.expires is not None and moment.ask.expires <= SOON):
            return None
        self._leave(moment.task, moment.ask)
        return 4

    async def _open(self, key: tuple[str, str]) -> bool:
        # What is followed from the start tells old questions too: the host knows which are open now.
        detail = await self._host.api.task(self._view.root)
        return any((question.task, question.ask.id) == key for question in detail.questions)

    def _leave(self, task: str, ask: Ask) -> None:
        if self._screen.json:
            self._screen.object({"waits": asking.as_object(task, ask)})
            return
        self._screen.say("It waits for a person. Answer with:")
        for command in asking.elsewhere(task, ask):
            self._screen.say(f"  {command}")
        if self._host.own:
            self._screen.say(f"It goes on with the next `agenthost up` or `agenthost tasks follow {self._view.root}`.")

    async def _answer(self, task: str, ask: Ask) -> int | None:
        self._teller.pause()
        try:
            for line in asking.shown(ask):
                self._screen.say(line)
            with _typing(self._queue):
                return await self._read_answer(task, ask)
        finally:
            self._teller.resume()

    async def _read_answer(self, task: str, ask: Ask) -> int | None:
        later: list[tuple[Recorded | LiveDelta, list[Moment]]] = []
        self._prompt()
        while True:
            heard = await self._queue.get()
            match heard:
                case Recorded() | LiveDelta():
                    later.append((heard, self._view.take(heard)))
                    if (task, ask.id) not in self._view.questions:
                        self._screen.say("\nIt was answered elsewhere.")
                        return await self._catch_up(later)
                case Typed():
                    if heard.text is None:
                        self._leave(task, ask)
                        return 4
                    answer = asking.meant(ask, heard.text)
                    if answer is None:
                        self._screen.say(_again(ask))
                        self._prompt()
                        continue
                    try:
                        await self._host.api.reply(self._view.root, answer, f"{task}/{ask.id}", via="cli")
                    except Conflict as error:  # somebody was first
                        self._screen.say(error.message)
                    return await self._catch_up(later)
                case Pressed():
                    if (code := await self._pressed()) is not None:
                        return code
                case Over():
                    self._queue.put_nowait(heard)
                    return None
                case Tick():
                    continue

    async def _catch_up(self, later: list[tuple[Recorded | LiveDelta, list[Moment]]]) -> int | None:
        """Tell what happened while a person was asked; another question may be among it."""
        for item, moments in later:
            self._teller.tell(item, moments)
        for _, moments in later:
            for moment in moments:
                still = isinstance(moment, Asks) and (moment.task, moment.ask.id) in self._view.questions
                if still and isinstance(moment, Asks) and (code := await self._asks(moment)) is not None:
                    return code
        return None

    def _prompt(self) -> None:
        self._screen.console.print("  > ", end="", style="bold yellow")

    async def _pressed(self) -> int | None:
        self._teller.pause()
        root = self._view.root
        if not self._host.own:
            self._note(f"Stopped following; the task goes on. Look again: agenthost tasks follow {root}")
            return 130
        self._note("Stopping; the task is kept for the next start. Ctrl-C again cancels it.")
        if await self._second_press():
            await self._host.api.cancel(root, reason="Ctrl-C twice")
            self._note("Cancelled." if await self._ended() else "Not waiting for its end; it is being cancelled.")
            return 130
        self._note(f"Kept. Go on with: agenthost tasks follow {root} (or agenthost up)")
        return 130

    async def _second_press(self) -> bool:
        began = asyncio.get_running_loop().time()
        deadline = began + SECOND_PRESS
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                heard = await asyncio.wait_for(self._queue.get(), left)
            except TimeoutError:
                return False
            if isinstance(heard, Pressed) and asyncio.get_running_loop().time() - began > ECHO:
                return True
            if isinstance(heard, Over):
                return False
        return False

    async def _ended(self) -> bool:
        """Wait until the cancel is committed; False where a third Ctrl-C says not to."""
        while True:
            heard = await self._queue.get()
            match heard:
                case Over():
                    return True
                case Pressed():
                    return False
                case Recorded() | LiveDelta():
                    self._take(heard)
                case _:
                    continue

    def _note(self, text: str) -> None:
        sys.stderr.write(text + "\n")


def _again(ask: Ask) -> str:
    return f"Type a number from 1 to {len(ask.options)}." if ask.options else "Type an answer, and Enter."
