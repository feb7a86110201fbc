"""`python -m agenthost.testing.providers_server --playbook FILE [--port N] [--record DIR] [--latency MS]`."""

import argparse
from pathlib import Path

from agenthost.models.playbook import load_playbook
from agenthost.testing.openai_server.command import options, serve
from agenthost.testing.providers_server.service import ProvidersService


def _arguments() -> argparse.Namespace:
    parser = options("agenthost.testing.providers_server", "Anthropic's and Gemini's APIs, by a playbook.")
    parser.add_argument("--playbook", required=True, type=Path, metavar="FILE", help="what is answered, and when")
    return parser.parse_args()


def _made(given: argparse.Namespace) -> ProvidersService:
    playbook = load_playbook(given.playbook)
    return ProvidersService(playbook, given.record, given.latency / 1000, given.pause / 1000, given.key)


if __name__ == "__main__":
    serve(_arguments(), _made)
