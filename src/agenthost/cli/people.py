"""`agenthost people`: who may use the host. Passwords come from a prompt without echo, or from stdin; never from the command's words."""

import getpass
import sys
from argparse import Namespace
from datetime import datetime
from typing import get_args

from agenthost.cli.connect import Door, Reached
from agenthost.cli.deleting import delete_person, sure
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen
from agenthost.core.access import ROLES
from agenthost.core.administration import Administration, Fate, NewPerson, PersonChange, PersonInfo
from agenthost.core.errors import BadInput, Unavailable


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "people list\npeople add ann --role user\npeople link ann")
    words = Words(made)
    words.add("list", "who may use the host", "people list\npeople list --json")
    add = words.add(
        "add",
        "add somebody; a link signs them in, or a password",
        "people add ann --name 'Ann Lee'\npeople add otto --role operator --password\n"
        "people add eve --subject 'https://id.example.org 10769150350006150715113082367'",
    )
    _who(add)
    add.add_argument("--role", choices=ROLES, default="user", help="what they may do (user)")
    add.add_argument("--name", default="", metavar="NAME", help="what they are called")
    add.add_argument(
        "--subject", default="", metavar="TEXT", help="who they are for an OpenID provider: ISSUER SUBJECT"
    )
    add.add_argument("--password", action="store_true", help="ask for a password, or read it from stdin")
    change = words.add(
        "change",
        "change somebody's role or name, or let them in no more",
        "people change ann --role operator\npeople change ann --disable",
    )
    _who(change)
    change.add_argument("--role", choices=ROLES, help="what they may do")
    change.add_argument("--name", metavar="NAME", help="what they are called")
    change.add_argument(
        "--subject", metavar="TEXT", help="who they are for an OpenID provider: ISSUER SUBJECT; '' for nobody"
    )
    either = change.add_mutually_exclusive_group()
    either.add_argument(
        "--disable", action="store_true", help="let them in no more; their unfinished tasks are cancelled"
    )
    either.add_argument("--enable", action="store_true", help="let them in again")
    _fate(change)
    remove = words.add(
        "remove",
        "remove somebody, with their keys; their unfinished tasks are cancelled, and what they did stays",
        "people remove ann",
    )
    _who(remove)
    _fate(remove)
    delete = words.add(
        "delete",
        "delete somebody for good, with every task, file and webhook of theirs",
        "people delete ann\npeople delete ann --yes",
    )
    _who(delete)
    sure(delete)
    password = words.add(
        "password", "set somebody's password, or take it away", "people password ann\npeople password ann --none"
    )
    _who(password)
    password.add_argument("--none", action="store_true", help="take it away: they sign in another way, or not at all")
    link = words.add("link", "a link that signs a browser in, once and soon", "people link\npeople link ann")
    link.add_argument("id", metavar="ID", nargs="?", default="", help="whom (you)")
    return made


def _who(word: Parser) -> None:
    word.add_argument("id", metavar="ID", help="their id, such as ann")


def _fate(word: Parser) -> None:
    word.add_argument("--keep-tasks", action="store_true", help="let their unfinished tasks go on")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    # What goes on of somebody's is ended first, which takes a host that works.
    async with door.host(work=args.word == "delete") as host:
        if args.word == "delete":
            return await delete_person(args, host, screen)
        await _WORDS[args.word](args, administration(host), screen)
    return 0


def administration(host: Reached) -> Administration:
    """The people and keys of a host."""
    if host.admin is None:
        raise Unavailable("this host looks after no people; ask the one that `agenthost up` started")
    return host.admin


async def _list(args: Namespace, admin: Administration, screen: Screen) -> None:
    people = await admin.people()
    if screen.json:
        screen.object(people)
        return
    rows = [[person.id, person.role, person.name, _ways(person), day(person.created)] for person in people]
    screen.table(["id", "role", "name", "signs in by", "since"], rows)


def _ways(person: PersonInfo) -> str:
    if person.disabled:
        return "disabled"
    return ", ".join(filter(None, ("password" if person.password else "", person.subject.partition(" ")[0]))) or "links"


def day(at: float) -> str:
    """A day for people."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d")


async def _add(args: Namespace, admin: Administration, screen: Screen) -> None:
    password = _asked(args.id) if args.password else ""
    made = await admin.add_person(NewPerson(args.id, args.role, args.name, password, args.subject))
    _tell(screen, made, f"{made.id} may use the host as {made.role}.")
    if not password and not made.subject:
        screen.hint(
            f"a link that signs them in: agenthost people link {made.id}; a key: agenthost keys new --person {made.id}"
        )


async def _change(args: Namespace, admin: Administration, screen: Screen) -> None:
    disabled = True if args.disable else False if args.enable else None
    if args.role is None and args.name is None and args.subject is None and disabled is None:
        raise BadInput("say what to change: --role, --name, --subject, --disable or --enable")
    change = PersonChange(args.role, args.name, args.subject, disabled, _chosen(args))
    made = await admin.change_person(args.id, change)
    _tell(screen, made, f"{made.id}: {made.role}{', disabled' if made.disabled else ''}.")


def _chosen(args: Namespace) -> Fate:
    cancel, keep = get_args(Fate)
    return keep if args.keep_tasks else cancel


async def _remove(args: Namespace, admin: Administration, screen: Screen) -> None:
    await admin.delete_person(args.id, _chosen(args))
    _tell(screen, {"id": args.id, "outcome": "removed"}, f"{args.id} was removed; what they did stays theirs.")


async def _password(args: Namespace, admin: Administration, screen: Screen) -> None:
    await admin.set_password(args.id, "" if args.none else _asked(args.id))
    outcome = "has no password any more" if args.none else "has a new password; their other sessions ended"
    _tell(screen, {"id": args.id, "password": not args.none}, f"{args.id} {outcome}.")


async def _link(args: Namespace, admin: Administration, screen: Screen) -> None:
    link = await admin.sign_in_link(args.id)
    if screen.json:
        screen.object(link)
        return
    screen.line(link.url)
    if link.url.startswith("/"):
        screen.hint("put the host's address before it; it serves none now (`agenthost up`)")


def _tell(screen: Screen, value: object, words: str) -> None:
    if screen.json:
        screen.object(value)
    else:
        screen.say(words)


def _asked(id: str) -> str:
    if not sys.stdin.isatty():
        password = sys.stdin.read().rstrip("\r\n")
    else:
        password = getpass.getpass(f"Password of {id} (not shown): ")
        if password != getpass.getpass("Again: "):
            raise BadInput("the two differ; nothing was changed. Try again")
    if not password:
        raise BadInput(f"no password was given for {id}; type it at the prompt, or pipe it in")
    return password


_WORDS = {"list": _list, "add": _add, "change": _change, "remove": _remove, "password": _password, "link": _link}
