"""`agenthost grants`: approvals that were given for good (`tasks approve --always`), listed and taken back."""

from argparse import Namespace
from datetime import datetime

from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.people import day
from agenthost.cli.screen import Screen
from agenthost.core.errors import Unavailable
from agenthost.core.grants import Grant, OwnGrants, describe

COLUMNS = ["id", "who", "tool", "arguments", "for", "given by", "since", "used"]


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "grants list\ngrants show gr_0123456789abcdef\ngrants remove gr_0123456789abcdef")
    words = Words(made)
    words.add("list", "what is allowed without a question", "grants list\ngrants list --json")
    _one(words, "show", "one of them, and what it was used for", "grants show gr_0123456789abcdef")
    _one(words, "remove", "take it back, from the next call on", "grants remove gr_0123456789abcdef")
    return made


def _one(words: Words, name: str, text: str, examples: str) -> None:
    words.add(name, text, examples).add_argument("id", metavar="ID", help="its id, as `grants list` shows it")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    async with door.host() as host:
        if host.grants is None:
            raise Unavailable("this host keeps no grants; ask the one that `agenthost up` started")
        return await _WORDS[args.word](args, host.grants, screen)


async def _list(args: Namespace, grants: OwnGrants, screen: Screen) -> int:
    found = await grants.all()
    if screen.json:
        screen.object(found)
    elif not found and screen.live:
        screen.say("Nothing is allowed for good. Give one: agenthost tasks approve TASK --always")
    else:
        screen.table(COLUMNS, [_row(each) for each in found])
    return 0


def _row(grant: Grant) -> list[str]:
    covered = describe(grant) + ("; untrusted content too" if grant.untrusted else "")
    given = f"{grant.by} ({grant.via})" if grant.via else grant.by
    name = f"{grant.kind} {grant.name}"
    return [grant.id, name, grant.tool, covered, grant.person, given, day(grant.at), str(grant.uses)]


async def _show(args: Namespace, grants: OwnGrants, screen: Screen) -> int:
    found = await grants.show(args.id)
    if screen.json:
        screen.object(found)
        return 0
    grant = found.grant
    screen.table(COLUMNS, [_row(grant)])
    screen.say(f"given for {grant.task}/{grant.question}" + (f": {grant.note}" if grant.note else ""))
    if found.uses:
        rows = [[f"{datetime.fromtimestamp(use.at):%Y-%m-%d %H:%M:%S}", use.task, str(use.seq)] for use in found.uses]
        screen.table(["used", "task", "event"], rows)
    return 0


async def _remove(args: Namespace, grants: OwnGrants, screen: Screen) -> int:
    await grants.remove(args.id)
    if screen.json:
        screen.object({"id": args.id, "outcome": "removed"})
    screen.say(f"{args.id} is taken back; such calls are asked about again.")
    return 0


_WORDS = {"list": _list, "show": _show, "remove": _remove}
