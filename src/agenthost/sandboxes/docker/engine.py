"""The engine: where it is, its images, and containers that are rooms."""

import asyncio
import io
import os
import secrets
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiodocker
from aiodocker.containers import DockerContainer
from msgspec import Struct

from agenthost.core.errors import Unavailable
from agenthost.sandboxes import owners
from agenthost.sandboxes.attached.pool import Size
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.docker.container import (
    BASE_LABEL,
    HOME_LABEL,
    MADE_LABEL,
    OWNER_LABEL,
    UNCOUNTED,
    USER,
    Make,
    config,
    has_kernel,
)
from agenthost.sandboxes.docker.ends import PROBLEMS, about, labelled, remove, said, why_it_ended
from agenthost.sandboxes.docker.line import Attached
from agenthost.sandboxes.docker.meeting import meet, runtime_of
from agenthost.sandboxes.docker.packages import with_packages
from agenthost.sandboxes.docker.podman import adapted
from agenthost.sandboxes.inside.rooms import PACKAGES

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMES = b"nameserver 127.0.0.1\n"
_OURS = ("/workspace", "/tmp", "/dev/shm", "/proc", "/sys")


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
        except PROBLEMS as problem:
            why = f"{place}: {problem}"
            await docker.close()
        else:
            return docker
    raise Unavailable(f"There is no Docker or Podman here ({why}). Start one, or set host in [sandbox.docker].")


class Image(Struct, frozen=True):
    """An image that rooms are made of: `id` of what was named, `ready` of that with a workspace, its PATH, and the
    folders that it wants kept (its VOLUMEs)."""

    id: str
    ready: str
    path: str
    volumes: tuple[str, ...] = ()


class Engine:
    """A Docker or Podman engine. `home` labels its containers; `runtime` is the engine's default where empty."""

    def __init__(self, host: str, image: str, home: str, runtime: str) -> None:
        self._host = host
        self._image = image
        self._home = home
        self._runtime = runtime
        self._podman = False
        self._docker: aiodocker.Docker | None = None
        self._labels: dict[str, str] = {}
        self._ready: dict[str, Image] = {}
        self._layered: dict[tuple[str, tuple[str, ...]], str] = {}
        self._lock = asyncio.Lock()

    async def open(self) -> aiodocker.Docker:
        """The connection; containers that a killed host left are removed first. Raises Unavailable."""
        async with self._lock:
            if self._docker is None:
                docker = await reach(self._host)
                try:
                    await self._meet(docker)
                    await self._sweep(docker)
                except BaseException as problem:
                    await docker.close()
                    if isinstance(problem, PROBLEMS):
                        raise Unavailable(f"The engine fails: {said(problem)}. Mend it and try again.") from problem
                    raise
                self._docker = docker
            return self._docker

    async def _meet(self, docker: aiodocker.Docker) -> None:
        """What kind of engine it is. Raises Unavailable where it can't do what it is for."""
        self._podman = await meet(docker)
        self._runtime = runtime_of(await about(docker), self._podman, self._runtime)
        owner = await asyncio.to_thread(owners.this)
        self._labels = {HOME_LABEL: self._home, OWNER_LABEL: owner.label, MADE_LABEL: secrets.token_hex(8)}

    async def _sweep(self, docker: aiodocker.Docker) -> None:
        """Remove the containers of this home whose process is gone for certain."""
        for container, labels in await labelled(docker, HOME_LABEL, self._home):
            if await asyncio.to_thread(owners.gone, labels.get(OWNER_LABEL, "")):
                await remove(container)

    async def room(self, size: Size) -> Room:
        """A new container, ready. Raises Unavailable."""
        docker = await self.open()
        name = size.image or self._image
        image = await self.image(name)
        ready, path = image.ready, image.path
        if size.packages:
            ready, path = self._layered[image.id, size.packages], f"{PACKAGES}/bin:{path}"
        made = Make(ready, path, self._labels, image.volumes, self._runtime)
        try:
            body = config(made, size)
            container = await docker.containers.create(adapted(body) if self._podman else body)
            line = Attached(container.attach(stdin=True, stdout=True, stderr=True))
            return await self._begin(container, line)
        except PROBLEMS as problem:
            if "python3" in (why := said(problem)):
                raise Unavailable(f"The image {name} has no python3. It needs python3, 3.9 or newer.") from problem
            raise Unavailable(f"Docker can't make a container: {why}. See docs/sandbox.md, 'Docker'.") from problem

    async def _begin(self, container: DockerContainer, line: Attached) -> Room:
        async def end() -> str:
            why = await why_it_ended(container) if line.lost else ""
            try:
                await remove(container)
            except PROBLEMS:
                pass  # an engine that is away removes it when it is back, as it has ended
            await line.end()
            return why

        try:
            await line.stream.__aenter__()
            await container.start()  # pyright: ignore[reportUnknownMemberType] - as below
        except BaseException:
            await end()
            raise
        room = Room(line, end, UNCOUNTED if has_kernel(self._runtime) else None)
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
            id: str = found["Id"]
            async with self._lock:
                if id not in self._ready:
                    self._ready[id] = await self._base(docker, found)
                return self._ready[id]
        except PROBLEMS as problem:
            if isinstance(problem, aiodocker.DockerError) and problem.status == 404:
                raise Unavailable(
                    f"The image {name} is not there ({problem.message}). Run: agenthost sandbox pull {name}, or for the "
                    "default one: agenthost sandbox build"
                ) from problem
            raise Unavailable(f"The engine is away or fails: {said(problem)}. Start it and try again.") from problem

    async def _base(self, docker: aiodocker.Docker, found: Mapping[str, Any]) -> Image:
        asked: dict[str, Any] = found.get("Config") or {}
        env: list[str] = asked.get("Env") or []
        wanted: dict[str, Any] = asked.get("Volumes") or {}
        path = next((line[5:] for line in env if line.startswith("PATH=")), _PATH)
        volumes = sorted(volume for volume in wanted if volume.rstrip("/") not in _OURS)
        return Image(found["Id"], await self._with_workspace(docker, found["Id"]), path, tuple(volumes))

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
        except PROBLEMS as problem:
            raise Unavailable(
                f"Docker can't put packages into an image: {said(problem)}. See docs/sandbox.md."
            ) from problem
        self._layered[image.id, packages] = made

    async def _with_workspace(self, docker: aiodocker.Docker, image: str) -> str:
        """The image with a folder /workspace that is the sandbox's user's: a new volume there becomes his too."""
        filters = {"label": [f"{BASE_LABEL}={image}"]}
        for made in await docker.images.list(filters=filters):  # pyright: ignore[reportUnknownMemberType] - aiodocker leaves keyword arguments untyped
            return made["Id"]
        body: dict[str, Any] = {"Image": image, "Entrypoint": ["true"], "Cmd": [], "Labels": self._labels}
        container = await docker.containers.create(body)
        try:
            await container.put_archive("/", _layer())  # pyright: ignore[reportUnknownMemberType] - as above
            # Whose the container was is not what its image says of those that are made of it.
            changes = [f"LABEL {BASE_LABEL}={image}", *(f'LABEL {label}=""' for label in self._labels)]
            made = await container.commit(changes=changes, config={})  # without a body Podman fails
            return made["Id"]
        finally:
            await remove(container)

    async def close(self) -> None:
        """Remove every container that was made here."""
        if self._docker is not None:
            docker, self._docker = self._docker, None
            try:
                for container, _ in await labelled(docker, MADE_LABEL, self._labels[MADE_LABEL]):
                    await remove(container)
            except PROBLEMS:
                pass  # an engine that is away removes them when it is back, as they have ended
            finally:
                await docker.close()


def _layer() -> bytes:
    """What every image gets. Podman leaves a container without network the image's own servers of names."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        folder = tarfile.TarInfo("workspace")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o777, USER, USER
        tar.addfile(folder)
        names = tarfile.TarInfo("etc/resolv.conf")
        names.size, names.mode = len(_NAMES), 0o644
        tar.addfile(names, io.BytesIO(_NAMES))
    return made.getvalue()
