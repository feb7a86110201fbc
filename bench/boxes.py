"""The back ends that can be measured, made as the host makes them, and an engine for Docker's."""

import asyncio
import importlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiodocker

from agenthost.core.errors import Unavailable
from agenthost.core.ports import Sandbox
from agenthost.sandboxes.docker.engine import reach
from agenthost.sandboxes.docker.settings import DEFAULT_IMAGE, DockerSettings
from bench import bed
from bench.processes import NotMeasured


@dataclass(frozen=True)
class Engine:
    """A Docker engine: where it answers, the image that it has, its runtimes. `folder`: of one that is only ours."""

    address: str
    image: str
    runtimes: frozenset[str]
    folder: Path | None = None


@dataclass
class Place:
    """Where a back end works. `home` labels its containers. `workspaces` holds nothing else."""

    folder: Path
    engine: Engine | NotMeasured
    home: str
    workspaces: Path = field(init=False)
    cache: Path = field(init=False)

    def __post_init__(self) -> None:
        self.workspaces, self.cache = self.folder / "workspaces", self.folder / "cache"
        for made in (self.workspaces, self.cache):
            made.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Box:
    """One back end: `name` on the command line, `subject` in the tables, how it is made, whether by an engine of Docker's."""

    name: str
    subject: str
    make: Callable[[Place], Sandbox]
    needs_engine: bool = False


def _bubblewrap(place: Place) -> Sandbox:
    return _class("agenthost.sandboxes.bubblewrap:Bubblewrap")(place.cache, place.workspaces)


def _docker(runtime: str) -> Callable[[Place], Sandbox]:
    def make(place: Place) -> Sandbox:
        if isinstance(place.engine, NotMeasured):
            raise NotMeasured(str(place.engine))
        if runtime not in place.engine.runtimes:
            raise NotMeasured(f"this engine has no runtime {runtime}; see docs/sandbox.md, 'Docker'")
        settings = DockerSettings(host=place.engine.address, image=place.engine.image, runtime=runtime)
        return _class("agenthost.sandboxes.docker.sandbox:Docker")(settings, place.workspaces, place.home)

    return make


def _gvisor(place: Place) -> Sandbox:
    return _class("agenthost.sandboxes.gvisor.sandbox:Gvisor")(place.cache, place.workspaces)


def _class(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


BOXES = (
    Box("bubblewrap", "agenthost, bubblewrap", _bubblewrap),
    Box("docker", "agenthost, docker (runc)", _docker("runc"), needs_engine=True),
    Box("docker-runsc", "agenthost, docker (runsc)", _docker("runsc"), needs_engine=True),
    Box("gvisor", "agenthost, gvisor", _gvisor),
)


def box(name: str) -> Box:
    """A back end by its name."""
    return next(box for box in BOXES if box.name == name)


@asynccontextmanager
async def opened(box: Box, place: Place) -> AsyncGenerator[Sandbox]:
    """The back end, ready. Raises NotMeasured with the reason where it isn't here."""
    sandbox = box.make(place)
    try:
        found = await sandbox.available()
        if not found.available:
            raise NotMeasured(f"{found.detail}. To mend it: {found.fix}")
        yield sandbox
    finally:
        await sandbox.close()


@contextmanager
def engine(boxes: Sequence[Box], image: str, tell: Callable[[str], None]) -> Iterator[Engine | NotMeasured]:
    """The engine that runs here already and has the image, else, as root, one of our own; or why there is none. `image`:
    what to use, else the sandbox's default one. An engine of our own has the tests' (scripts/docker.sh)."""
    if not any(box.needs_engine for box in boxes):
        yield NotMeasured("no sandbox that needs an engine was asked for")
        return
    with ExitStack() as stack:
        try:
            found = asyncio.run(_theirs(image or DEFAULT_IMAGE))
        except (Unavailable, NotMeasured) as theirs:
            tell("a Docker engine for the benchmark")
            try:
                address, own, folder = stack.enter_context(bed.engine())
            except NotMeasured as reason:
                found = NotMeasured(f"{theirs} One of our own can't be had: {reason}")
            else:
                found = Engine(address, own, asyncio.run(_runtimes(address)), folder)
        yield found


async def _theirs(image: str) -> Engine:
    """Raises Unavailable where none answers, and NotMeasured where it hasn't the image."""
    async with await reach("") as docker:
        try:
            await docker.images.inspect(image)
        except aiodocker.DockerError:
            raise NotMeasured(f"The engine has no image {image}; run: agenthost sandbox build.") from None
        return Engine(docker.docker_host, image, await _runtimes(docker.docker_host))


async def _runtimes(address: str) -> frozenset[str]:
    async with await reach(address) as docker:
        return frozenset((await docker.system.info()).get("Runtimes", {}))
