"""`agenthost doctor`: what was looked at, what was seen, how to mend it."""

from argparse import Namespace

from rich.text import Text

from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, make
from agenthost.cli.render.words import clean
from agenthost.cli.screen import Screen
from agenthost.cli.telegram import look

STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def parser(verb: str) -> Parser:
    """Nothing but what every verb takes."""
    return make(verb, "doctor\ndoctor --json")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """1 where something fails."""
    async with door.host() as host:
        findings = [*await host.api.doctor(), *await look(door.home)]
    if screen.json:
        screen.object(findings)
    for finding in [] if screen.json else findings:
        if screen.live:
            told = Text(f"{finding.status:<5}", f"bold {STYLES.get(finding.status, 'default')}")
            screen.console.print(told.append(f"{clean(finding.what)}  ", "bold").append(clean(finding.seen), "default"))
        else:
            screen.say(f"{finding.status}\t{finding.what}\t{finding.seen}")
        if finding.fix:
            screen.say(f"      {finding.fix}" if screen.live else f"\tfix\t{finding.fix}", "cyan")
    return 1 if any(finding.status == "fail" for finding in findings) else 0
