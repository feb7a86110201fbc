"""The sandbox `docker`: rooms that are containers of an engine."""

from collections.abc import Callable
from pathlib import Path

from agenthost.core.errors import AgentHostError, Unavailable
from agenthost.core.sandboxes import Availability, Isolation, SandboxPolicy
from agenthost.sandboxes.attached.pool import Size, size_of
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.attached.sandbox import Rooms
from agenthost.sandboxes.docker.engine import Engine
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.sandboxes.egress.way import Way

_KERNELS = ("runsc",)


class Containers:
    """The port `attached.sandbox.Maker` by the Docker API. `home` is the home's id, which its containers are labelled with."""

    name = "docker"
    processes = 1
    certificates = ""  # the image has its own

    def __init__(self, settings: DockerSettings, home: str) -> None:
        self._settings = settings
        self._engine = Engine(settings.host, settings.image, home, settings.runtime)
        self.isolation: Isolation = "kernel" if settings.runtime in _KERNELS else "process"

    def usual(self) -> Size:
        return size_of(SandboxPolicy())

    async def missing(self) -> Availability | None:
        try:
            await self._engine.image(self._settings.image)
        except AgentHostError as problem:
            return self.why(problem.message)
        return None

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> Size:
        """Raises Unavailable where the image isn't there."""
        if policy.packages:
            raise Unavailable("The sandbox docker has no packages yet. Use an image that has them.")
        await self._engine.image(policy.image or self._settings.image)
        return size_of(policy)

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
    labelled with; `way` is how runs with hosts granted get out."""

    def __init__(self, settings: DockerSettings, workspaces: Path, home: str, way: Way | None = None) -> None:
        maker = Containers(settings, home)
        super().__init__(maker, workspaces, way, settings.warm, settings.idle, settings.most)
