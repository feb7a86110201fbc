"""`agenthost eval`: measures with labelled sets that ship with AgentHost, for whoever changes a rule or chooses a model."""

from argparse import Namespace

from agenthost.cli import eval_routing, eval_untrusted
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen


def parser(verb: str) -> Parser:
    """A word for each set."""
    made = make(verb, "eval routing\neval routing --model default\neval untrusted")
    words = Words(made)
    eval_routing.words(words)
    eval_untrusted.words(words)
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    runs = {"routing": eval_routing.run, "untrusted": eval_untrusted.run}
    return await runs[args.word](args, door, screen)
