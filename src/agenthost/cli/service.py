"""`agenthost service install|uninstall|status`: the host as a service of systemd or launchd."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from msgspec import Struct

from agenthost.cli import units
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen
from agenthost.core.errors import BadInput, Unavailable
from agenthost.stores.durable import disk_errors, replace_file
from agenthost.stores.home import make_home

USER = "agenthost"
_FOR_US = ("AGENTHOST_", "OPENAI_")


class Place(Struct, frozen=True):
    """Where a service manager looks, and what is said to it."""

    file: Path
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    again: tuple[tuple[str, ...], ...]
    look: tuple[str, ...]


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "service install\nservice install --dry-run\nservice status")
    words = Words(made)
    install = words.add(
        "install",
        "write the service's file and start it, now and with every login, or with the machine",
        "service install --dry-run\nservice install --port 9000\n--home /var/lib/agenthost service install --system",
    )
    install.add_argument("--dry-run", action="store_true", help="show what would be written and run; do nothing")
    install.add_argument("--no-start", action="store_true", help="write the file only")
    install.add_argument("--port", type=int, metavar="N", help="the port that is served (as `up`)")
    install.add_argument("--host", metavar="ADDRESS", help="the address that is listened on (as `up`)")
    install.add_argument("--as", dest="user", metavar="USER", default=USER, help=f"with --system: who runs it ({USER})")
    away = words.add("uninstall", "stop it and remove its file; the home stays", "service uninstall")
    state = words.add("status", "whether it is installed, and runs", "service status --json")
    for each in (install, away, state):
        each.add_argument("--system", action="store_true", help="of the whole machine (root), and not of this user")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says. `status` ends with 3 where it doesn't run."""
    place = _place(args.system)
    if args.word == "status":
        return await _status(place, screen)
    if args.word == "uninstall":
        return await _uninstall(place, screen)
    return await _install(args, door, place, screen)


def _place(system: bool) -> Place:
    if sys.platform == "darwin":
        return launchd(system, Path.home(), os.getuid())
    if sys.platform != "linux":
        raise Unavailable("services are those of systemd and launchd; here, have `agenthost up` started by other means")
    return systemd(system, os.environ.get("XDG_CONFIG_HOME", ""), Path.home())


def systemd(system: bool, config: str, home: Path) -> Place:
    """Where a unit is, and how systemd is told."""
    folder = Path("/etc/systemd/system") if system else (Path(config) if config else home / ".config") / "systemd/user"
    name = f"{units.NAME}.service"
    control = ("systemctl",) if system else ("systemctl", "--user")
    return Place(
        folder / name,
        ((*control, "daemon-reload"), (*control, "enable", name), (*control, "restart", name)),
        ((*control, "disable", "--now", name),),
        ((*control, "daemon-reload"),),
        (*control, "is-active", name),
    )


def launchd(system: bool, home: Path, user: int) -> Place:
    """Where a property list is, and how launchd is told."""
    folder = Path("/Library/LaunchDaemons") if system else home / "Library/LaunchAgents"
    file = folder / f"{units.LABEL}.plist"
    domain = "system" if system else f"gui/{user}"
    return Place(
        file,
        (("launchctl", "bootstrap", domain, str(file)),),
        (("launchctl", "bootout", f"{domain}/{units.LABEL}"),),
        (),
        ("launchctl", "print", f"{domain}/{units.LABEL}"),
    )


async def _install(args: Namespace, door: Door, place: Place, screen: Screen) -> int:
    from agenthost.host.settings import load

    settings = await asyncio.to_thread(load, door.home)
    options = (
        *(["--host", args.host] if args.host else []),
        *(["--port", str(args.port)] if args.port is not None else []),
    )
    user = args.user if args.system else ""
    service = units.Service(door.home, sys.executable, options, user, settings.work.grace)
    content = units.plist(service) if sys.platform == "darwin" else units.unit(service).encode()
    commands = [] if args.no_start else [list(command) for command in place.start]
    if args.dry_run:
        if screen.json:
            screen.object({"file": str(place.file), "content": content.decode(), "commands": commands})
            return 0
        screen.line(f"# {place.file}")
        screen.line(content.decode().rstrip())
        for command in commands:
            screen.line(f"# {' '.join(command)}")
        return 0
    await asyncio.to_thread(_write, place.file, content, door.home, user)
    for command in commands:
        await _tell(command, place.file)
    if screen.json:
        screen.object({"file": str(place.file), "started": bool(commands)})
        return 0
    screen.say(f"{place.file} is written" + (", and the host runs as a service." if commands else "."), "green")
    _advise(args.system, door.home, screen)
    return 0


def _write(file: Path, content: bytes, home: Path, user: str) -> None:
    known = _known(user, home) if user else None
    if file.exists() and b"agenthost.cli" not in file.read_bytes():
        raise BadInput(f"{file} is there, and isn't AgentHost's; move it away")
    new = not home.exists()
    make_home(home)
    (home / "logs").mkdir(mode=0o700, exist_ok=True)
    if known is not None and new:
        for path in (home, home / "logs"):
            os.chown(path, known.pw_uid, known.pw_gid)
    with disk_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, content, 0o644)


def _known(user: str, home: Path) -> pwd.struct_passwd:
    """Who a service of the whole machine runs as."""
    if os.geteuid() != 0:
        raise BadInput("a service of the whole machine is installed by root: sudo agenthost service install --system")
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise BadInput(
            f"there is no user '{user}'; make one: useradd --system --home-dir {home} --shell /usr/sbin/nologin {user}, "
            "or name another with --as"
        ) from None


async def _tell(command: list[str], file: Path) -> None:
    """Run a service manager's command. Raises Unavailable, which says what is left to be done."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{file} is written, but there is no {command[0]} here to start it")
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        why = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(
            f"`{' '.join(command)}` failed ({why[-1] if why else f'exit code {done.returncode}'}); mend that and run it again"
        )


def _advise(system: bool, home: Path, screen: Screen) -> None:
    if "cache" in {part.strip(".") for part in Path(sys.prefix).parts}:
        screen.hint(
            f"it runs from a cache ({sys.prefix}), which may be emptied; install AgentHost for good: uv tool install agenthost"
        )
    if sys.platform != "darwin" and not system:
        screen.hint("it starts when you log in; to have it run without that: loginctl enable-linger")
    here = sorted(name for name in os.environ if name.startswith(_FOR_US) and name != "AGENTHOST_HOME")
    if here:
        to = f"put them into {home / units.ENVIRONMENT}" if sys.platform != "darwin" else "set them in agenthost.toml"
        screen.hint(
            f"the service doesn't see what is set in this terminal ({', '.join(here)}): {to}, or keep keys with `agenthost secrets set`"
        )


async def _uninstall(place: Place, screen: Screen) -> int:
    if not place.file.exists():
        raise BadInput(f"there is no service to remove: {place.file} isn't there")
    try:
        for command in place.stop:
            await _tell(list(command), place.file)
    except Unavailable as error:
        raise Unavailable(f"{error.message}; where it was never started, remove {place.file} yourself") from error
    with disk_errors(place.file.parent):
        place.file.unlink()
    for command in place.again:
        await _tell(list(command), place.file)
    if screen.json:
        screen.object({"file": str(place.file), "installed": False})
    screen.say(f"The service is gone, and {place.file} with it; its home stays as it is.")
    return 0


async def _status(place: Place, screen: Screen) -> int:
    installed = place.file.exists()
    active = False
    if installed and shutil.which(place.look[0]) is not None:
        looked = await asyncio.to_thread(subprocess.run, place.look, capture_output=True, stdin=subprocess.DEVNULL)
        active = looked.returncode == 0
    if screen.json:
        screen.object({"file": str(place.file), "installed": installed, "active": active})
    else:
        told = "it runs" if active else "it doesn't run"
        screen.say(
            f"{place.file}: {told}" if installed else "no service is installed; install one: agenthost service install"
        )
    return 0 if active else 3
