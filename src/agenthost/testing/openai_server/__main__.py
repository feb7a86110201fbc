"""`python -m agenthost.testing.openai_server --playbook FILE [--port N] [--record DIR] [--latency MS]`."""

import argparse
from pathlib import Path

import msgspec

from agenthost.core.errors import BadInput
from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.command import options, serve
from agenthost.testing.openai_server.mind import SmallModel, Vices
from agenthost.testing.openai_server.service import Service


def _arguments() -> argparse.Namespace:
    parser = options("agenthost.testing.openai_server", "OpenAI's API, by a playbook.")
    answers = parser.add_mutually_exclusive_group(required=True)
    answers.add_argument("--playbook", type=Path, metavar="FILE", help="what is answered, and when")
    answers.add_argument(
        "--small", metavar="VICES", help="a small model that can do what a probe asks; how it lies, as JSON"
    )
    parser.add_argument("--model", action="append", default=[], help="a model that /v1/models lists (again for more)")
    return parser.parse_args()


def _small(vices: str) -> SmallModel:
    try:
        return SmallModel(msgspec.json.decode(vices, type=Vices))
    except msgspec.DecodeError as error:
        raise BadInput(f"the vices of a small model are not what they may be: {error}") from None


def _made(given: argparse.Namespace) -> Service:
    return Service(
        load_playbook(given.playbook) if given.playbook else _small(given.small),
        given.record,
        given.latency / 1000,
        given.pause / 1000,
        given.key,
        tuple(given.model) or ("scripted",),
    )


if __name__ == "__main__":
    serve(_arguments(), _made, "/v1")
