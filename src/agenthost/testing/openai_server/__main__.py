"""`python -m agenthost.testing.openai_server --playbook FILE [--port N] [--record DIR] [--latency MS]`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from agenthost.core.errors import BadInput
from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.mind import SmallModel, Vices
from agenthost.testing.openai_server.service import Service, serving


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m agenthost.testing.openai_server", description="OpenAI's API, by a playbook."
    )
    answers = parser.add_mutually_exclusive_group(required=True)
    answers.add_argument("--playbook", type=Path, metavar="FILE", help="what is answered, and when")
    answers.add_argument(
        "--small", metavar="VICES", help="a small model that can do what a probe asks; how it lies, as JSON"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0 takes a free one")
    parser.add_argument("--record", type=Path, metavar="DIR", help="where requests and answers are kept")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS", help="before the first byte")
    parser.add_argument("--pause", type=float, default=0.0, metavar="MS", help="between the pieces of a stream")
    parser.add_argument("--key", default="", help="the key that clients must show")
    parser.add_argument("--model", action="append", default=[], help="a model that /v1/models lists (again for more)")
    return parser.parse_args()


def _small(vices: str) -> SmallModel:
    try:
        return SmallModel(msgspec.json.decode(vices, type=Vices))
    except msgspec.DecodeError as error:
        raise BadInput(f"the vices of a small model are not what they may be: {error}") from None


async def main(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    service = Service(
        load_playbook(arguments.playbook) if arguments.playbook else _small(arguments.small),
        arguments.record,
        arguments.latency / 1000,
        arguments.pause / 1000,
        arguments.key,
        tuple(arguments.model) or ("scripted",),
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(service.application(), arguments.port) as url:
        sys.stdout.write(f"listening on {url}/v1\n")
        sys.stdout.flush()
        await ended.wait()
    service.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(_arguments()))
    except (BadInput, OSError) as problem:
        sys.exit(str(problem))
