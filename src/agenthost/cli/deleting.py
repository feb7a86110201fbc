"""What is deleted for good: asked first, done by the host, and told what is gone."""

import asyncio
import sys
from argparse import Namespace

from agenthost.cli.connect import Reached
from agenthost.cli.options import Parser
from agenthost.cli.render.words import one_line, plural
from agenthost.cli.screen import Screen
from agenthost.core.erasure import Deletion, Erased
from agenthost.core.errors import BadInput, Unavailable


def sure(parser: Parser) -> None:
    """The option by which nobody is asked."""
    parser.add_argument("--yes", action="store_true", help="delete without asking")


async def delete_task(args: Namespace, host: Reached, screen: Screen) -> int:
    """Delete `args.task`."""
    row = (await host.api.task(args.task)).row
    title = f" ({one_line(row.title, 60)})" if row.title else ""
    await _need_sure(screen, args, f"Task {row.id}{title} goes for good, with everything below it and its files.")
    return _tell(screen, await deletion(host).task(row.id, args.force))


async def delete_person(args: Namespace, host: Reached, screen: Screen) -> int:
    """Delete all of `args.id`."""
    what = f"{args.id} goes for good, with every task, file and webhook of theirs."
    await _need_sure(screen, args, what, args.id)
    return _tell(screen, await deletion(host).person(args.id))


async def delete_namespace(args: Namespace, host: Reached, screen: Screen) -> int:
    """Delete the namespace `args.name`."""
    what = f"The namespace {args.name} goes for good, with everybody and everything in it."
    await _need_sure(screen, args, what, args.name)
    return _tell(screen, await deletion(host).namespace(args.name))


def deletion(host: Reached) -> Deletion:
    """Deletion at a host."""
    if host.deletion is None:
        raise Unavailable("this host deletes nothing; ask the one that `agenthost up` started")
    return host.deletion


async def _need_sure(screen: Screen, args: Namespace, what: str, name: str = "") -> None:
    """Ask whether it is meant, unless that was said; with a `name`, by typing it. Raises BadInput where it isn't meant."""
    if args.yes:
        return
    if not screen.asks:
        raise BadInput(f"{what} Nobody can be asked here: say --yes where that is meant")
    wanted = (name,) if name else ("y", "yes")
    screen.say(what, "bold")
    question = f"Type {name} to go on: " if name else "Go on? [y/N] "
    screen.console.print(question, end="", style="bold", markup=False)
    typed = (await asyncio.to_thread(sys.stdin.readline)).strip()
    if (typed if name else typed.lower()) not in wanted:
        raise BadInput("nothing was deleted")


def _tell(screen: Screen, gone: Erased) -> int:
    if screen.json:
        screen.object(gone)
        return 0
    people = "1 person" if gone.people == 1 else f"{gone.people} people"
    told = [plural(gone.tasks, "task"), plural(gone.files, "file")]
    told += [people] if gone.people else []
    told += [plural(gone.webhooks, "webhook")] if gone.webhooks else []
    screen.say(f"Gone for good: {', '.join(told)}.")
    return 0
