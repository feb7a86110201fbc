"""The sandbox `docker`: rooms that are containers of an engine."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from agenthost.core.errors import AgentHostError
from agenthost.core.sandboxes import Availability, Isolation, SandboxPolicy
from agenthost.sandboxes.attached.pool import Size, size_of
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.attached.sandbox import Rooms
from agenthost.sandboxes.docker.container import has_kernel
from agenthost.sandboxes.docker.engine import Engine, Image
from agenthost.sandboxes.docker.packages import target
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.layers import Layers, normal


class Containers:
    """The port `attached.sandbox.Maker` by the Docker API. `home` is the home's id, which its containers are labelled with;
    `layers` is where packages are installed before they go into an image."""

    name = "docker"
    processes = 1
    certificates = ""  # the image has its own

    def __init__(self, settings: DockerSettings, home: str, layers: Path) -> None:
        self._settings = settings
        self._layers = Layers(layers)
        self._installing: dict[tuple[str, tuple[str, ...]], asyncio.Lock] = {}
        self._engine = Engine(settings.host, settings.image, home, settings.runtime)
        self.isolation: Isolation = "kernel" if has_kernel(settings.runtime) else "process"

    def usual(self) -> Size:
        return size_of(SandboxPolicy())

    async def missing(self) -> Availability | None:
        try:
            await self._engine.image(self._settings.image)
        except AgentHostError as problem:
            return self.why(problem.message)
        return None

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> Size:
        """Raises Unavailable where the image isn't there, and Permanent (`packages`)."""
        size = size_of(msgspec.structs.replace(policy, packages=normal(policy.packages)))
        image = await self._engine.image(size.image or self._settings.image)
        if size.packages:
            async with self._installing.setdefault((image.id, size.packages), asyncio.Lock()):
                if not self._engine.has(image, size.packages):
                    await self._install(image, size, tell)
        return size

    async def _install(self, image: Image, size: Size, tell: Callable[[str], None]) -> None:
        """Make an image with the packages, for the Python that is in it."""
        room = await self._engine.room(msgspec.structs.replace(self.usual(), image=size.image))
        await room.close()
        wanted, site = target(room.greeting)
        layer = self._layers.place(await self._layers.have(size.packages, tell, wanted))
        await self._engine.add(image, size.packages, layer, site)

    async def make(self, size: Size) -> Room:
        return await self._engine.room(size)

    def why(self, said: str) -> Availability:
        return Availability(False, said, "see docs/sandbox.md, 'Docker'")

    @property
    def detail(self) -> str:
        return f"docker, image {self._settings.image}"

    async def close(self) -> None:
        await self._engine.close()


class Docker(Rooms):
    """The sandbox. Every run's workspace lies under `workspaces`; `home` is the home's id, which its containers are
    labelled with; `way` is how runs with hosts granted get out; `cache` keeps package layers."""

    def __init__(
        self, settings: DockerSettings, workspaces: Path, home: str, way: Way | None = None, cache: Path | None = None
    ) -> None:
        maker = Containers(settings, home, (cache or workspaces.parent / "cache") / "layers")
        super().__init__(maker, workspaces, way, settings.warm, settings.idle, settings.most)
