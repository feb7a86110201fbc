"""The command line that every scripted server of a model's API has."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from aiohttp import web

from agenthost.core.errors import BadInput
from agenthost.testing.openai_server.service import serving


class Serves(Protocol):
    """A server before it is one."""

    def application(self) -> web.Application: ...

    def close(self) -> None: ...


def options(module: str, description: str) -> argparse.ArgumentParser:
    """Its options, but what it answers by."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0 takes a free one")
    parser.add_argument("--record", type=Path, metavar="DIR", help="where requests and answers are kept")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="before the first byte")
    parser.add_argument("--pause", type=float, default=0.0, metavar="MS", help="between the pieces of a stream")
    parser.add_argument("--key", default="", help="the key that clients must show")
    return parser


def serve(given: argparse.Namespace, make: Callable[[argparse.Namespace], Serves], below: str = "") -> None:
    """Serve what `make` makes of the options, until SIGTERM or SIGINT; `below` is what clients' addresses end in."""
    try:
        asyncio.run(_served(make(given), given.port, below))
    except (BadInput, OSError) as problem:
        sys.exit(str(problem))


async def _served(service: Serves, port: int, below: str) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(service.application(), port) as url:
        sys.stdout.write(f"listening on {url}{below}\n")
        sys.stdout.flush()
        await ended.wait()
    service.close()
