"""`agenthost backup create|list|verify|restore`: a home in one file, made while its host works, and put back."""

import asyncio
import os
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from agenthost import __version__
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.render.words import duration, plural, size
from agenthost.cli.screen import Screen
from agenthost.cli.working import work
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.stores.backups import archive, create, restore
from agenthost.stores.backups.home import FOLDER, noted


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "backup create /mnt/disk\nbackup list\nbackup restore /mnt/disk/20261121-110000.agenthost.tar.gz")
    words = Words(made)
    new = words.add(
        "create",
        "put the whole home into one file, while its host goes on working",
        "backup create\nbackup create /mnt/disk --keep 7\nbackup create before-move.agenthost.tar.gz --no-secrets",
    )
    new.add_argument("target", metavar="FILE|FOLDER", nargs="?", default="", help="where to (`backups` in the home)")
    new.add_argument("--no-secrets", action="store_true", help="leave out secrets, tokens and keys")
    new.add_argument("--keep", metavar="N", type=int, default=0, help="of this home's in that folder keep the newest N")
    listed = words.add(
        "list", "the back-ups that this home knows of, or those in a folder", "backup list\nbackup list /mnt/disk"
    )
    listed.add_argument("folder", metavar="FOLDER", nargs="?", default="", help="look there only")
    check = words.add("verify", "read a back-up whole and compare every hash", "backup verify FILE")
    check.add_argument("file", metavar="FILE", help="the back-up")
    back = words.add(
        "restore",
        "put a back-up into a home that no host holds",
        "--home /srv/agenthost backup restore FILE\nbackup restore FILE --force",
    )
    back.add_argument("file", metavar="FILE", help="the back-up")
    back.add_argument(
        "--force", action="store_true", help="also where the home isn't empty: what is there is kept beside it"
    )
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    return await {"create": _create, "list": _list, "verify": _verify, "restore": _restore}[args.word](
        args, door, screen
    )


async def _create(args: Namespace, door: Door, screen: Screen) -> int:
    if args.keep < 0:
        raise BadInput("--keep takes a number of back-ups, such as 7")
    target = await asyncio.to_thread(_target, args.target, door.home)
    wanted = create.Wanted(door.home, __version__, not args.no_secrets)
    began = time.monotonic()
    # The host that works on this machine comes first.
    os.nice(10)
    made = await work(screen, lambda say: create.create(wanted, target, say))
    removed = await asyncio.to_thread(create.prune, door.home, Path(made.file), args.keep) if args.keep else []
    if screen.json:
        screen.object({"made": made, "removed": removed})
        return 1 if made.missing else 0
    head = made.head
    screen.say(
        f"{made.file}: {size(made.size)}, {plural(head.tasks, 'task')} ({head.unfinished} unfinished), "
        f"{plural(head.files, 'file')}, checked, in {duration(time.monotonic() - began)}",
        "green",
    )
    for each in head.left_out:
        screen.say(f"not in it: {each}")
    if head.secrets:
        screen.say(
            "It holds this home's secrets and the key that decrypts them: keep it as you keep them, or use --no-secrets.",
            "yellow",
        )
    if Path(made.file).is_relative_to(door.home):
        screen.hint("it is on the same disk as the home; copy it elsewhere, or name a folder there")
    for each in removed:
        screen.say(f"removed {each}")
    return _missing(screen, made.missing)


def _target(given: str, home: Path) -> Path:
    if not given:
        return _own_folder(home)
    target = Path(given).absolute()
    if not target.is_dir() and not target.name.endswith(create.SUFFIX):
        # It would be a file of that name, which no listing finds.
        raise BadInput(f"there is no folder {target}; make it, or name a file that ends with {create.SUFFIX}")
    return target


def _own_folder(home: Path) -> Path:
    folder = home / FOLDER
    if home.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _missing(screen: Screen, missing: tuple[str, ...]) -> int:
    """1 where something was missing already in the home."""
    if missing:
        screen.say(
            f"{plural(len(missing), 'file')} that the database names were not there, or damaged, when this was made: {', '.join(missing[:3])}",
            "red",
        )
    return 1 if missing else 0


async def _list(args: Namespace, door: Door, screen: Screen) -> int:
    found = await asyncio.to_thread(_known, door.home, args.folder)
    if screen.json:
        screen.object(found)
        return 0
    rows: list[list[str]] = []
    for each in found:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(each["made"])) if each["made"] else ""
        about = (
            each["problem"] or f"{plural(each['tasks'], 'task')}, {'with' if each['secrets'] else 'without'} secrets"
        )
        rows.append([made, size(each["size"]), about, each["version"], each["file"]])
    screen.table(["made", "size", "holds", "version", "file"], rows)
    if not rows:
        screen.hint("there is none; make one: agenthost backup create FOLDER")
    return 0


def _known(home: Path, folder: str) -> list[dict[str, Any]]:
    """The back-ups of a folder, or those that the home remembers together with those in its own folder, newest first."""
    if folder and not Path(folder).is_dir():
        raise BadInput(f"there is no folder '{folder}'")
    known = {} if folder else {each.file: each.made for each in noted(home)}
    there = {
        str(path): 0.0 for path in (Path(folder) if folder else home / FOLDER).absolute().glob("*" + create.SUFFIX)
    }
    found = [_about(Path(file), made) for file, made in (there | known).items()]
    return sorted(found, key=lambda each: each["made"], reverse=True)


def _about(file: Path, made: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "file": str(file),
        "made": made,
        "size": 0,
        "tasks": 0,
        "secrets": False,
        "version": "",
        "problem": "",
    }
    if not file.exists():
        return told | {"problem": "it isn't there any more"}
    try:
        head = archive.head(file)
    except AgentHostError as error:
        return told | {"problem": error.message}
    return told | {
        "made": head.made,
        "size": file.stat().st_size,
        "tasks": head.tasks,
        "secrets": head.secrets,
        "version": head.version,
    }


async def _verify(args: Namespace, door: Door, screen: Screen) -> int:
    file = Path(args.file)
    head, parts = await work(screen, lambda say: restore.verify(file, say))
    if screen.json:
        screen.object({"file": str(file), "head": head, "missing": parts.missing})
        return 1 if parts.missing else 0
    screen.say(
        f"{file} is whole: {plural(head.tasks, 'task')}, {plural(head.files, 'file')}, {size(head.bytes)} unpacked",
        "green",
    )
    return _missing(screen, parts.missing)


async def _restore(args: Namespace, door: Door, screen: Screen) -> int:
    done = await work(screen, lambda say: restore.restore(Path(args.file), door.home, args.force, say))
    if screen.json:
        screen.object(done)
        return 1 if done.missing else 0
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(done.head.made))
    screen.say(
        f"{door.home} is as it was at {made}: {plural(done.head.tasks, 'task')}, {done.head.unfinished} unfinished",
        "green",
    )
    if done.aside:
        screen.say(f"What was there before is in {done.aside}; remove it when you no longer want it.")
    screen.hint(
        "the next `agenthost up` goes on with the unfinished tasks from that moment; be sure that no other host does: "
        "what they did since then would be done twice"
    )
    return _missing(screen, done.missing)
