"""`agenthost budgets`: what may be spent in a day by the host, by people and agents, and what is left of it."""

from argparse import Namespace
from collections.abc import Callable
from datetime import datetime

from agenthost.cli import options
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser
from agenthost.cli.screen import Screen
from agenthost.core.budgets import Limits, told_limits, told_spend
from agenthost.core.errors import BadInput, HostUnreachable
from agenthost.core.manifests.common import read_count, read_duration, read_money
from agenthost.core.spending import BudgetLine


def parser(verb: str) -> Parser:
    """Look, set, clear."""
    made = options.make(verb, "budgets list\nbudgets set person/ann --cost 2 --tokens 500k\nbudgets clear person/ann")
    words = options.Words(made)
    words.add("list", "the budgets of this day", "budgets list\nbudgets list --json")
    setting = words.add(
        "set",
        "what a subject may spend in a day; what isn't named isn't bounded",
        "budgets set host --cost 20\nbudgets set person --tokens 1M\nbudgets set agent/coder --turns 500",
    )
    _subject(setting)
    setting.add_argument("--turns", metavar="N", help="model calls, such as 500")
    setting.add_argument("--tokens", metavar="N", help="tokens in and out, such as 2M")
    setting.add_argument("--cost", metavar="USD", help="money, such as 2.50")
    setting.add_argument("--duration", metavar="TIME", help="time of work, such as 4h")
    _subject(words.add("clear", "go by settings and manifests again", "budgets clear person/ann"))
    return made


def _subject(parser: Parser) -> None:
    parser.add_argument(
        "subject", metavar="SUBJECT", help="host, namespace/NAME, person/NAME, agent/NAME; a kind alone: each of them"
    )


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    async with door.host() as host:
        if host.budgets is None:
            raise HostUnreachable("this host keeps no budgets")
        if args.word == "list":
            lines = await host.budgets.all()
            if screen.json:
                screen.object(lines)
            elif lines:
                screen.table(["budget of", "a day", "spent", "begins anew", "by"], [row(line) for line in lines])
            else:
                screen.say("No day is bounded. Bound one: agenthost budgets set host --cost 20")
            return 0
        limits = None if args.word == "clear" else _limits(args)
        line = await host.budgets.set(args.subject, limits)
        if screen.json:
            screen.object(line)
        else:
            screen.say(f"{line.subject}: {told_limits(line.limits) or 'no bound'} a day")
        return 0


def row(line: BudgetLine) -> list[str]:
    """A budget as a row: whose, how much, what is spent of it, until when, who said so."""
    until = f"{datetime.fromtimestamp(line.until):%Y-%m-%d %H:%M}" if line.until else ""
    by = line.given + (", raised" if line.raised else "")
    spent = told_spend(line.spent, line.limits) if "/" in line.subject or line.subject == "host" else "each"
    return [line.subject, told_limits(line.limits), spent, until, by]


def _limits(args: Namespace) -> Limits:
    turns, tokens = _read(args.turns, read_count, "--turns"), _read(args.tokens, read_count, "--tokens")
    return Limits(
        None if turns is None else int(turns),
        None if tokens is None else int(tokens),
        _read(args.cost, read_money, "--cost"),
        _read(args.duration, read_duration, "--duration"),
    )


def _read(text: str | None, read: Callable[[str], object], name: str) -> float | None:
    try:
        return None if text is None else float(str(read(text)))
    except ValueError as error:
        raise BadInput(f"{name} can't be '{text}': {error}") from error
