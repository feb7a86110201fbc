"""Packages in an image: a layer that was installed for the image's own Python, as an image of its own."""

import asyncio
import io
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import aiodocker
import msgspec

from agenthost.core.errors import Permanent, Unavailable
from agenthost.sandboxes.docker.podman import ulimits
from agenthost.sandboxes.inside.rooms import PACKAGES
from agenthost.sandboxes.layers import Target

LAYER_LABEL = "agenthost.packages"
"""Of an image with packages: the layer's key."""

_GLIBC = re.compile(r"glibc 2\.(\d{1,3})")
_VERSION = re.compile(r"3\.\d{1,3}\.\d{1,3}")
_MACHINES = ("x86_64", "aarch64")
# Versions of glibc that uv knows a name for (`uv pip install --python-platform`).
_OLDER, _FIRST, _LAST = (17, 28), 31, 40
_SECONDS = 600.0
# Before the image's own packages, so that a run may bring another version of one, and behind Python's library.
_PATH_FILE = (
    "import sys; sys.path.insert(next((n for n, p in enumerate(sys.path) if p.endswith(('-packages'))), len(sys.path)), "
    f"{PACKAGES!r})\n"
)
_COMPILE = ["python3", "-m", "compileall", "-q", "-j", "0", PACKAGES]


def target(greeting: Mapping[str, Any]) -> tuple[Target, str]:
    """Whose Python a room's greeting tells of, and its folder of packages. Raises Unavailable where there are no
    packages for it."""
    version, machine, libc = (str(greeting.get(name, "")) for name in ("python", "machine", "libc"))
    try:
        (site,) = msgspec.convert(greeting.get("site"), tuple[str])
    except msgspec.ValidationError:
        site = ""
    glibc = _GLIBC.fullmatch(libc)
    known = _VERSION.fullmatch(version) and machine in _MACHINES and (glibc or not libc)
    if not known or not site.startswith("/") or ".." in site.split("/"):
        raise Unavailable(
            f"There are no packages for this image's Python ({version}, {machine}). Use one that has them."
        )
    return Target(version, f"{machine}-{_libc(int(glibc[1])) if glibc else 'unknown-linux-musl'}"), site


def _libc(minor: int) -> str:
    at_most = [number for number in (*_OLDER, *range(_FIRST, _LAST + 1)) if number <= minor]
    return f"manylinux_2_{max(at_most, default=_OLDER[0])}"


async def with_packages(docker: aiodocker.Docker, base: str, layer: Path, site: str, labels: Mapping[str, str]) -> str:
    """The id of an image that is `base` with the layer; made where it isn't there. `labels` tell it from others."""
    wanted = {**labels, LAYER_LABEL: layer.name}
    filters = {"label": [f"{name}={value}" for name, value in wanted.items()]}
    for made in await docker.images.list(filters=filters):  # pyright: ignore[reportUnknownMemberType] - aiodocker leaves keyword arguments untyped
        return made["Id"]
    # No package's code runs while they are compiled, and nothing is reached.
    safe: dict[str, Any] = {"NetworkMode": "none", "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]}
    safe["Ulimits"] = ulimits()
    body: dict[str, Any] = {"Image": base, "User": "0", "Entrypoint": _COMPILE, "Cmd": [], "HostConfig": safe}
    container = await docker.containers.create(body)
    try:
        with tempfile.TemporaryFile() as archive:
            await asyncio.to_thread(_pack, archive, layer, site)
            await container.put_archive("/", archive)  # pyright: ignore[reportUnknownMemberType] - as above
        await container.start()  # pyright: ignore[reportUnknownMemberType] - as above
        ended = await container.wait(timeout=_SECONDS)  # pyright: ignore[reportUnknownMemberType] - as above
        if ended["StatusCode"] > 1:  # 1: some file isn't for this Python, which is usual
            raise Permanent(
                "The packages can't be put into the image: its python3 didn't compile them.", code="packages"
            )
        changes = [f"LABEL {name}={value}" for name, value in wanted.items()]
        made = await container.commit(changes=changes, config={})  # without a body Podman fails
        return made["Id"]
    finally:
        await container.delete(force=True, v=True)


def _pack(archive: IO[bytes], layer: Path, site: str) -> None:
    """The layer as a tar, everything root's, with the file that has Python find it."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(layer, PACKAGES[1:], filter=_as_root)
        entry = tarfile.TarInfo(f"{site[1:]}/agenthost-packages.pth")
        entry.size, entry.mode = len(_PATH_FILE), 0o644
        tar.addfile(entry, io.BytesIO(_PATH_FILE.encode()))
    archive.seek(0)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
