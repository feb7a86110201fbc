"""The engine: where it is, its images, and containers that are rooms."""

import asyncio
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import aiodocker
from aiodocker.containers import DockerContainer
from aiohttp import ClientError
from msgspec import Struct

from agenthost.core.errors import Unavailable
from agenthost.sandboxes.attached.pool import Size
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.docker.container import BASE_LABEL, HOME_LABEL, USER, config
from agenthost.sandboxes.docker.line import Attached
from agenthost.sandboxes.docker.meeting import bounds, meet
from agenthost.sandboxes.docker.packages import with_packages
from agenthost.sandboxes.docker.podman import adapted
from agenthost.sandboxes.inside.rooms import PACKAGES

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TRIES, _AGAIN = 40, 0.05
_PROBLEMS = (aiodocker.DockerError, ClientError, OSError, TimeoutError)


def places(host: str) -> list[str]:
    """Where an engine may listen, the likeliest first."""
    if host or (host := os.environ.get("DOCKER_HOST", "")):
        return [host]
    found = ["/var/run/docker.sock"]
    if run := os.environ.get("XDG_RUNTIME_DIR"):
        found.append(f"{run}/podman/podman.sock")
    return [f"unix://{path}" for path in (*found, "/run/podman/podman.sock") if Path(path).exists()]


async def reach(host: str) -> aiodocker.Docker:
    """A connection to the engine, which answers. `host`: as of the settings. Raises Unavailable."""
    why = "no socket of an engine is there"
    for place in await asyncio.to_thread(places, host):
        try:
            docker = aiodocker.Docker(url=place)
        except ValueError as problem:
            why = f"{place}: {problem}"
            continue
        try:
            await meet(docker)
        except _PROBLEMS as problem:
            why = f"{place}: {problem}"
            await docker.close()
        else:
            return docker
    raise Unavailable(f"There is no Docker or Podman here ({why}). Start one, or set host in [sandbox.docker].")


class Image(Struct, frozen=True):
    """An image that rooms are made of: `id` of what was named, `ready` of that with a workspace, and its PATH."""

    id: str
    ready: str
    path: str


class Engine:
    """A Docker or Podman engine. `home` labels its containers; `runtime` is the engine's default where empty."""

    def __init__(self, host: str, image: str, home: str, runtime: str) -> None:
        self._host = host
        self._image = image
        self._home = home
        self._runtime = runtime
        self._podman = False
        self._docker: aiodocker.Docker | None = None
        self._ready: dict[str, Image] = {}
        self._layered: dict[tuple[str, tuple[str, ...]], str] = {}
        self._lock = asyncio.Lock()

    async def open(self) -> aiodocker.Docker:
        """The connection; containers that a killed host left are removed first. Raises Unavailable."""
        async with self._lock:
            if self._docker is None:
                self._docker = await reach(self._host)
                try:
                    self._podman = await meet(self._docker)
                    await bounds(self._docker, self._podman, self._runtime)
                    await self.sweep()
                except BaseException:
                    await self._docker.close()
                    self._docker = None
                    raise
            return self._docker

    async def sweep(self) -> None:
        """Remove every container of this home."""
        assert self._docker is not None
        filters = f'{{"label": ["{HOME_LABEL}={self._home}"]}}'
        for container in await self._docker.containers.list(all="true", filters=filters):  # pyright: ignore[reportUnknownMemberType] - aiodocker leaves keyword arguments untyped
            await _remove(container)

    async def room(self, size: Size) -> Room:
        """A new container, ready. Raises Unavailable."""
        docker = await self.open()
        image = await self.image(size.image or self._image)
        ready, path = image.ready, image.path
        if size.packages:
            ready, path = self._layered[image.id, size.packages], f"{PACKAGES}/bin:{path}"
        try:
            body = config(ready, path, size, self._home, self._runtime)
            container = await docker.containers.create(adapted(body) if self._podman else body)
            line = Attached(container.attach(stdin=True, stdout=True, stderr=True))
            return await self._begin(container, line)
        except _PROBLEMS as problem:
            raise Unavailable(f"Docker can't make a container: {problem}. See docs/sandbox.md.") from problem

    async def _begin(self, container: DockerContainer, line: Attached) -> Room:
        async def end() -> str:
            why = await _why(container)
            await _remove(container)
            await line.end()
            return why

        try:
            await line.stream.__aenter__()
            await container.start()  # pyright: ignore[reportUnknownMemberType] - as above
        except BaseException:
            await end()
            raise
        room = Room(line, end)
        try:
            await room.start()
        except BaseException:
            await room.close()
            raise
        return room

    async def image(self, name: str) -> Image:
        """The image of this name. Raises Unavailable where it isn't there."""
        docker = await self.open()
        try:
            found = await docker.images.inspect(name)
        except aiodocker.DockerError as problem:
            raise Unavailable(
                f"The image {name} is not there ({problem.message}). Run: agenthost sandbox pull {name}, or for the default "
                "one: agenthost sandbox build"
            ) from problem
        id: str = found["Id"]
        async with self._lock:
            if id not in self._ready:
                env: list[str] = found.get("Config", {}).get("Env") or []
                path = next((line[5:] for line in env if line.startswith("PATH=")), _PATH)
                self._ready[id] = Image(id, await self._with_workspace(docker, id), path)
            return self._ready[id]

    def has(self, image: Image, packages: tuple[str, ...]) -> bool:
        """Whether rooms with these packages can be made."""
        return (image.id, packages) in self._layered

    async def add(self, image: Image, packages: tuple[str, ...], layer: Path, site: str) -> None:
        """Have an image with packages: the folder `layer`, and `site` as `packages.target` tells it. Raises Unavailable,
        and Permanent (`packages`)."""
        docker = await self.open()
        labels = {HOME_LABEL: self._home, BASE_LABEL: image.ready}
        try:
            made = await with_packages(docker, image.ready, layer, site, labels)
        except _PROBLEMS as problem:
            raise Unavailable(f"Docker can't put packages into an image: {problem}. See docs/sandbox.md.") from problem
        self._layered[image.id, packages] = made

    async def _with_workspace(self, docker: aiodocker.Docker, image: str) -> str:
        """The image with a folder /workspace that is the sandbox's user's: a new volume there becomes his too."""
        filters = {"label": [f"{BASE_LABEL}={image}"]}
        for made in await docker.images.list(filters=filters):  # pyright: ignore[reportUnknownMemberType] - as above
            return made["Id"]
        body: dict[str, Any] = {"Image": image, "Cmd": ["true"], "Labels": {HOME_LABEL: self._home}}
        container = await docker.containers.create(body)
        try:
            await container.put_archive("/", _folder("workspace"))  # pyright: ignore[reportUnknownMemberType] - as above
            made = await container.commit(changes=f"LABEL {BASE_LABEL}={image}", config={})
            return made["Id"]
        finally:
            await _remove(container)

    async def close(self) -> None:
        if self._docker is not None:
            await self.sweep()
            await self._docker.close()
            self._docker = None


def _folder(name: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o777, USER, USER
        tar.addfile(entry)
    return made.getvalue()


async def _why(container: DockerContainer) -> str:
    try:
        state = (await container.show())["State"]  # pyright: ignore[reportUnknownMemberType] - as above
    except _PROBLEMS:
        return ""
    return "memory" if state.get("OOMKilled") else ""


async def _remove(container: DockerContainer) -> None:
    """Remove it with its volume, and stay until it is gone: the engine, which removes it too once it has ended, may
    be in the middle of that."""
    for attempt in range(_TRIES):
        try:
            await container.delete(force=True, v=True)
        except aiodocker.DockerError as problem:
            if problem.status == 404:
                return
            if attempt == _TRIES - 1:
                raise
        await asyncio.sleep(_AGAIN)
