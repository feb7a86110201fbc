"""`agenthost secrets set|list|delete`. A value comes from a prompt without echo, or from stdin; never from the command's words."""

import getpass
import re
import sys
from argparse import Namespace

from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen
from agenthost.core.errors import BadInput

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "secrets set OPENAI_API_KEY\nsecrets list")
    group = Words(made)
    keep = group.add(
        "set",
        "keep a secret; the value is asked for, or read from stdin",
        "secrets set OPENAI_API_KEY\nsecrets set OPENAI_API_KEY < key.txt",
    )
    keep.add_argument("name", metavar="NAME", help="such as OPENAI_API_KEY")
    group.add("list", "the names of what is kept, never the values", "secrets list")
    delete = group.add("delete", "forget a secret", "secrets delete OPENAI_API_KEY")
    delete.add_argument("name", metavar="NAME", help="such as OPENAI_API_KEY")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    if args.word == "list":
        async with door.host() as host:
            names = await host.api.secrets()
        if screen.json:
            screen.object(names)
        else:
            for name in names:
                screen.line(name)
        return 0
    if not NAME.fullmatch(args.name):
        raise BadInput(f"'{args.name}' is no name for a secret: letters, digits, _ and -, such as OPENAI_API_KEY")
    value = _value(args.name) if args.word == "set" else ""
    async with door.host() as host:
        await host.api.set_secret(args.name, value)
    outcome = "kept" if args.word == "set" else "deleted"
    if screen.json:
        screen.object({"name": args.name, "outcome": outcome})
    else:
        screen.say(f"{args.name} was {outcome}.")
    return 0


def _value(name: str) -> str:
    value = getpass.getpass(f"Value of {name} (not shown): ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not value:
        raise BadInput(f"no value was given for {name}; type it at the prompt, or pipe it in")
    return value
