"""`agenthost namespaces`: a tenant's everything."""

from argparse import Namespace

from agenthost.cli.connect import Door
from agenthost.cli.deleting import delete_namespace, sure
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "namespaces delete acme")
    delete = Words(made).add(
        "delete",
        "delete a namespace with everybody and everything in it, for good",
        "namespaces delete acme\nnamespaces delete acme --yes",
    )
    delete.add_argument("name", metavar="NAME", help="such as default, where all is that was given none")
    sure(delete)
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    # What goes on is ended first, which takes a host that works.
    async with door.host(work=True) as host:
        return await delete_namespace(args, host, screen)
