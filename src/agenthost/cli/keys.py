"""`agenthost keys`: what programs show in the place of a password, and the sessions of browsers."""

import re
import time
from argparse import Namespace
from typing import cast

from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.people import administration, day
from agenthost.cli.screen import Screen
from agenthost.core.access import ALL_RIGHTS, Right
from agenthost.core.administration import KeyInfo
from agenthost.core.errors import BadInput

_LASTS = re.compile(r"(\d{1,6})([mhdwy])")
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "keys list\nkeys new laptop --lasts 90d\nkeys revoke k0123456789a")
    words = Words(made)
    listing = words.add("list", "keys and sessions, yours or somebody's", "keys list\nkeys list --person ann")
    new = words.add(
        "new",
        "make a key; it is shown once",
        "keys new laptop --lasts 90d\nkeys new dashboard --rights read\nkeys new ci --person ann --rights read,work",
    )
    new.add_argument("name", metavar="NAME", nargs="?", default="", help="what it is for")
    new.add_argument(
        "--rights",
        default="",
        metavar="RIGHT,...",
        help=f"what it may do, of {', '.join(ALL_RIGHTS)} (all that its person may)",
    )
    new.add_argument(
        "--lasts", default="", metavar="TIME", help="after which it counts no more, such as 12h, 90d or 1y (never)"
    )
    revoke = words.add("revoke", "take a key back, or end a session; it counts at once", "keys revoke k0123456789a")
    revoke.add_argument("id", metavar="ID", help="its id, as `keys list` shows it")
    for word in (listing, new, revoke):
        word.add_argument("--person", default="", metavar="ID", help="whose (yours)")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    rights, until = (_rights(args.rights), _until(args.lasts)) if args.word == "new" else ((), 0.0)
    async with door.host() as host:
        admin = administration(host)
        if args.word == "new":
            made = await admin.make_key(args.name, args.person, rights, until)
            if screen.json:
                screen.object(made)
            else:
                screen.line(made.secret)
                screen.hint(
                    f"{made.key.id} of {made.key.person} may {', '.join(made.key.rights)}; keep it now, it isn't shown again. "
                    "Programs send it as `Authorization: Bearer`, the command takes it from AGENTHOST_TOKEN"
                )
        elif args.word == "revoke":
            await admin.revoke_key(args.id, args.person)
            if screen.json:
                screen.object({"id": args.id, "outcome": "revoked"})
            screen.say(f"{args.id} counts no more.")
        else:
            _show(await admin.keys(args.person), screen)
    return 0


def _show(keys: list[KeyInfo], screen: Screen) -> None:
    if screen.json:
        screen.object(keys)
        return
    rows = [
        [
            key.id,
            "session" if key.session else "key",
            key.name,
            ", ".join(key.rights),
            day(key.created),
            day(key.expires) if key.expires else "never",
            f"...{key.hint}" if key.hint else "",
        ]
        for key in keys
    ]
    screen.table(["id", "what", "name", "rights", "since", "until", "ends in"], rows)


def _rights(text: str) -> tuple[Right, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for right in found:
        if right not in ALL_RIGHTS:
            raise BadInput(f"'{right}' is no right; there are {', '.join(ALL_RIGHTS)}")
    return cast("tuple[Right, ...]", found)


def _until(text: str) -> float:
    if not text:
        return 0.0
    found = _LASTS.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise BadInput(f"'{text}' is no time; give one such as 12h, 90d or 1y")
    return time.time() + int(found[1]) * _SECONDS[found[2]]
