"""`agenthost sandbox list|build|pull`: where code can run here, and the images of containers."""

import asyncio
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import agenthost
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen
from agenthost.core.api import Finding
from agenthost.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from agenthost.host.settings import Settings
    from agenthost.sandboxes.docker.images import Image, Step

_TENTHS = 10


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "sandbox list\nsandbox build\nsandbox pull python:3.12-slim")
    words = Words(made)
    words.add(
        "list", "the sandboxes, whether they can be used, and how to mend them", "sandbox list\nsandbox list --json"
    )
    build = words.add(
        "build",
        "build the default image of containers, in Docker or Podman",
        "sandbox build\nsandbox build --file Dockerfile --name my-image",
    )
    build.add_argument("--file", metavar="FILE", default="", help="another Dockerfile, which needs no other file")
    build.add_argument("--name", metavar="NAME", default="", help="the image's name (that of the settings)")
    pull = words.add("pull", "fetch an image for containers from its registry", "sandbox pull python:3.12-slim")
    pull.add_argument("image", metavar="IMAGE", help="the image's name")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    if args.word == "list":
        return await _list(door, screen)
    settings = await asyncio.to_thread(_settings, door.home)
    images = _images()
    host, lines = settings.sandbox.docker.host, _Lines(screen)
    if args.word == "pull":
        done: Image = await images.pull(host, args.image, lines.tell)
    else:
        name = args.name or settings.sandbox.docker.image
        done = await images.build(host, name, await asyncio.to_thread(_read, args.file), lines.tell)
    if screen.json:
        screen.object(done)
    screen.say(f"{done.image} is there: {done.id.removeprefix('sha256:')[:12]}, {done.size / 1e6:.0f} MB", "green")
    return 0


async def _list(door: Door, screen: Screen) -> int:
    """2 where there is none for code that demands nothing."""
    async with door.host() as host:
        found = [each for each in await host.api.doctor() if each.what.partition(" ")[0] == "sandbox"]
    if screen.json:
        screen.object(found)
    else:
        screen.table(
            ["usable", "sandbox", "seen", "to mend it"],
            [["yes" if _usable(e) else "no", e.what, e.seen, e.fix] for e in found],
        )
    return 2 if any(each.status == "fail" for each in found) else 0


def _usable(found: Finding) -> bool:
    # What isn't here needn't be a fault of the host, but then it comes with how to get it.
    return found.status != "fail" and not found.fix


def _settings(home: Path) -> "Settings":
    from agenthost.host.settings import load

    return load(home=home)


def _images() -> ModuleType:
    try:
        from agenthost.sandboxes.docker import images
    except ImportError as problem:
        raise Unavailable("The sandbox docker needs a library. Run: pip install 'agenthost[docker]'") from problem
    return images


def dockerfile() -> Path:
    """The default image's: beside the package's modules in a wheel, at the top of a checkout. Raises Unavailable."""
    package = Path(agenthost.__file__).parent
    for place in (package, package.parents[1]):
        if (found := place / "deploy" / "sandbox" / "Dockerfile").is_file():
            return found
    raise Unavailable("the Dockerfile is not there; install AgentHost again, from a wheel or a whole checkout")


def _read(file: str) -> bytes:
    path = Path(file) if file else dockerfile()
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BadInput(f"{path} can't be read ({problem.strerror}). Give a Dockerfile with --file.") from problem


class _Lines:
    """Tells steps: a line for each, and for what counts bytes a line every tenth; in JSON an object for each of them."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told: dict[str, tuple[str, int]] = {}

    def tell(self, step: "Step") -> None:
        """A line, where there is something new."""
        now = (step.doing, step.done * _TENTHS // step.total if step.total else 0)
        if step.part and self._told.get(step.part) == now:
            return
        self._told[step.part] = now
        if self._screen.json:
            self._screen.object(step)
            return
        of = f" {step.done / 1e6:.1f} of {step.total / 1e6:.1f} MB" if step.total else ""
        self._screen.say(f"{step.part}: {step.doing}{of}" if step.part else step.doing)
