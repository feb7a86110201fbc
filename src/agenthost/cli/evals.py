"""`agenthost eval`: measures with labelled sets that ship with AgentHost, for whoever changes a rule or chooses a model."""

from argparse import Namespace

from agenthost.cli import eval_routing
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen


def parser(verb: str) -> Parser:
    """A word for each set."""
    made = make(verb, "eval routing\neval routing --model default")
    eval_routing.words(Words(made))
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    return await {"routing": eval_routing.run}[args.word](args, door, screen)
