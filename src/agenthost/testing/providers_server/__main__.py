"""`python -m agenthost.testing.providers_server --playbook FILE [--port N] [--record DIR] [--latency MS]`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from agenthost.core.errors import BadInput
from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.service import serving
from agenthost.testing.providers_server.service import ProvidersService


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Anthropic's and Gemini's APIs, by a playbook.")
    parser.add_argument("--playbook", required=True, type=Path, metavar="FILE", help="what is answered, and when")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0 takes a free one")
    parser.add_argument("--record", type=Path, metavar="DIR", help="where requests and answers are kept")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="before the first byte")
    parser.add_argument("--pause", type=float, default=0.0, metavar="MS", help="between the pieces of a stream")
    parser.add_argument("--key", default="", help="the key that clients must show")
    return parser.parse_args()


async def main(given: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    playbook = load_playbook(given.playbook)
    service = ProvidersService(playbook, given.record, given.latency / 1000, given.pause / 1000, given.key)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(service.application(), given.port) as url:
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()
        await ended.wait()
    service.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(_arguments()))
    except (BadInput, OSError) as problem:
        sys.exit(str(problem))
