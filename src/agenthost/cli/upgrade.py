"""`agenthost upgrade`: the data of a home for this version of AgentHost: tried on a copy, done, and taken back."""

import asyncio
from argparse import Namespace
from typing import TYPE_CHECKING

from agenthost import __version__
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, make
from agenthost.cli.render.words import duration, plural, size
from agenthost.cli.screen import Screen
from agenthost.cli.working import telling, work
from agenthost.core.errors import BadInput

if TYPE_CHECKING:
    from agenthost.host.upgrading import Trial

_SHOWN = 20


def parser(verb: str) -> Parser:
    """What is to be done; by itself `agenthost up` upgrades when it starts."""
    made = make(verb, "upgrade --dry-run\nupgrade\nupgrade --back")
    made.add_argument("--dry-run", action="store_true", help="do it to a copy, read every journal there, and tell")
    made.add_argument(
        "--back", action="store_true", help="put back the copy from before the upgrade, for the version before"
    )
    made.add_argument("--force", action="store_true", help="with --back: also where more was written since")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """With --dry-run 1 where something would be lost, or can't be read."""
    if args.dry_run and args.back:
        raise BadInput("--dry-run and --back are two things; give one of them")
    if args.force and not args.back:
        raise BadInput("--force goes with --back")
    if args.dry_run:
        return await _try_out(door, screen)
    return await (_go_back(args, door, screen) if args.back else _upgrade(door, screen))


async def _upgrade(door: Door, screen: Screen) -> int:
    from agenthost.host import upgrading

    done = await upgrading.upgrade(door.home)
    if screen.json:
        screen.object({"migrated": done})
    elif done is None:
        screen.say(f"The data in {door.home} is of the format of AgentHost {__version__} already.")
    else:
        screen.say(f"{door.home} went from format {done.before} to {done.after}, in {duration(done.seconds)}.", "green")
        screen.say(f"As it was before it is in {done.kept}; back to it: agenthost upgrade --back")
    return 0


async def _go_back(args: Namespace, door: Door, screen: Screen) -> int:
    from agenthost.host import upgrading

    done = await work(screen, lambda say: upgrading.go_back(door.home, args.force))
    if screen.json:
        screen.object(done)
        return 0
    screen.say(f"{door.home} has its database of format {done.copy.format} again.", "green")
    screen.say(
        f"The newer one is in {done.kept}"
        + (f", with {plural(done.events, 'event')} written since." if done.events else ".")
    )
    screen.hint("now install the version of AgentHost that wrote it; this one would upgrade it again when it starts")
    return 0


async def _try_out(door: Door, screen: Screen) -> int:
    from agenthost.host import upgrading

    if not await asyncio.to_thread((door.home / upgrading.DATABASE).is_file):
        raise BadInput(f"there is no database in {door.home}; name another home with --home")
    found = await upgrading.try_out(door.home, telling(screen))
    if screen.json:
        screen.object({"good": found.good, "trial": found})
    else:
        _tell(screen, found)
    return 0 if found.good else 1


def _tell(screen: Screen, found: "Trial") -> None:
    if found.before == found.after:
        screen.say(f"format {found.before}: nothing to change")
    else:
        screen.say(f"format {found.before} to {found.after}: {', '.join(found.scripts)}")
    for each in found.changes:
        screen.say(f"  {each}")
    screen.say(
        f"{plural(found.tasks, 'task')} ({found.unfinished} unfinished) with {plural(found.events, 'event')}: "
        + (
            "every journal can be read" if not found.unread else f"{plural(len(found.unread), 'journal')} can't be read"
        ),
        "" if not found.unread else "red",
    )
    for each in found.unread[:_SHOWN]:
        screen.say(f"  {each.task}: {each.reason}", "red")
    for each in found.lost:
        screen.say(f"  {each}", "red")
    screen.say(
        f"it takes about {duration(found.migrating)}, and {size(found.size)} of disk for the copy that is kept "
        f"({size(found.free)} free)",
        "" if found.fits else "red",
    )
    screen.say("Nothing was changed.", "green" if found.good else "")
