"""`agenthost up`: the host and its socket, in the foreground, until it is told to stop."""

import asyncio
import os
import signal
from argparse import Namespace
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from agenthost.cli.connect import Door, Reached
from agenthost.cli.notify import notify, watched
from agenthost.cli.options import Parser, make
from agenthost.cli.render import jsonl, plain
from agenthost.cli.render.view import View
from agenthost.cli.render.words import plural
from agenthost.cli.screen import Screen
from agenthost.cli.views import read_view
from agenthost.core.api import HostApi, LiveDelta
from agenthost.core.errors import AgentHostError
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter

LOOK = 0.5
"""Seconds between two looks for tasks that began."""
NEWEST = 200
HURRY = 2.0
"""Seconds after which the process ends whatever goes on, once it was told twice to stop."""


def parser(verb: str) -> Parser:
    """Where it listens."""
    made = make(verb, "up\nup --port 9000\nup --home ./data --log-format json --log-level info")
    made.add_argument(
        "--port", type=int, metavar="N", help="the port that is served (default 8484; 0: any that is free)"
    )
    made.add_argument("--host", metavar="ADDRESS", help="the address that is listened on (default 127.0.0.1)")
    made.add_argument("--no-open", action="store_true", help="don't open the page in a browser")
    made.add_argument("--quiet", action="store_true", help="don't show what the tasks do")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """0 when it was stopped by SIGTERM or Ctrl-C, 130 when that came twice."""
    stop = Stop()
    with _signals(stop):
        async with door.serve(args.host, args.port) as host:
            await _greet(host, screen)
            async with _watching(host.api, screen, args.quiet):
                failed = await _until_told(host, stop)
                notify("STOPPING=1")
                if failed is None:
                    screen.say("Stopping; unfinished tasks go on with the next start. Once more: at once.")
                    await _drained(host, stop, screen)
            if failed is not None:
                raise failed
    return 130 if stop.hurry.is_set() else 0


class Stop:
    """That the host is to stop (`once`), and to stop at once (`hurry`)."""

    def __init__(self) -> None:
        self.once = asyncio.Event()
        self.hurry = asyncio.Event()

    def told(self) -> None:
        """A signal came. From the second on nothing is waited for long; what is journalled is kept in any case."""
        if not self.once.is_set():
            self.once.set()
        elif not self.hurry.is_set():
            self.hurry.set()
            asyncio.get_running_loop().call_later(HURRY, os._exit, 130)
        else:
            os._exit(130)


async def _greet(host: Reached, screen: Screen) -> None:
    info = await host.api.info()
    if screen.json:
        screen.object({"kind": "up", **_info(info.home, info.pid, info.version), "url": host.url})
        return
    screen.say(f"AgentHost {info.version} is up; its home is {info.home}.")
    if host.url:
        screen.say(f"It serves {host.url}; the owner's token is in {info.home}/token.")
    screen.say("Work for it: agenthost run NAME, in another terminal. Ctrl-C stops it and keeps every task.")


async def _until_told(host: Reached, stop: Stop) -> AgentHostError | None:
    """Until the host is to stop; why, where it can't go on with its tasks. A service manager hears of it meanwhile."""
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(_keep_told(host, stop))
        await stop.once.wait()
        keeping.cancel()
    return keeping.result() if not keeping.cancelled() else None


async def _keep_told(host: Reached, stop: Stop) -> AgentHostError | None:
    every = watched()
    async with asyncio.TaskGroup() as group:
        alive = group.create_task(_alive(every / 2)) if every else None
        try:
            await host.recovered()
        except AgentHostError as error:
            stop.once.set()
            if alive is not None:
                alive.cancel()
            return error
        notify("READY=1", f"STATUS=serving {host.url}".rstrip())


async def _alive(every: float) -> None:
    """Say so, again and again, from the loop that everything runs on."""
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(every)


async def _drained(host: Reached, stop: Stop, screen: Screen) -> None:
    """Wait for what was begun, unless it is to go quickly."""
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(_drain(host, screen))
        hurrying = group.create_task(stop.hurry.wait())
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        hurrying.cancel()


async def _drain(host: Reached, screen: Screen) -> None:
    left = await host.drain()
    if left:
        screen.say(f"{plural(left, 'task')} had a call under way that took longer than [work] grace; it is made again.")


def _info(home: str, pid: int, version: str) -> dict[str, str | int]:
    return {"home": home, "pid": pid, "version": version}


@contextmanager
def _signals(stop: Stop) -> Generator[None]:
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM)
    for number in caught:
        loop.add_signal_handler(number, stop.told)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _watching(api: HostApi, screen: Screen, quiet: bool) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as outer:
        watcher = None if quiet else outer.create_task(_watch_all(api, screen))
        try:
            yield
        finally:
            if watcher is not None:
                watcher.cancel()


async def _watch_all(api: HostApi, screen: Screen) -> None:
    # A group of its own: cancelling it cancels every follower in it.
    async with asyncio.TaskGroup() as group:
        await _watch(api, screen, group)


async def _watch(api: HostApi, screen: Screen, group: asyncio.TaskGroup) -> None:
    """Tell what the tasks at work do, a line an event. Of those that were there at the start, only what is new."""
    known: set[str] = set()
    first = True
    while True:
        rows = await api.tasks(Filter(roots_only=True, limit=NEWEST))
        for row in rows:
            if row.id not in known and not (first and row.state in FINAL):
                view = await read_view(api, row.id) if first else View(row.id)
                group.create_task(_tell(api, screen, view))
        known = {row.id for row in rows}
        first = False
        await asyncio.sleep(LOOK)


async def _tell(api: HostApi, screen: Screen, view: View) -> None:
    try:
        async for item in api.follow(view.root, view.seen):
            moments = view.take(item)
            if screen.json and not isinstance(item, LiveDelta):
                screen.line(jsonl.line(item))
            for moment in [] if screen.json else moments:
                screen.line(plain.line(view, moment))
    except AgentHostError as error:
        screen.say(f"{view.root}: {error.message}")
