"""Images come to an engine: built from a Dockerfile, or pulled by name; each step is told."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiodocker
from aiodocker.exceptions import DockerStreamError
from aiohttp import ClientError
from msgspec import Struct

from agenthost.core.errors import BadInput, Permanent, Unavailable
from agenthost.sandboxes.docker.engine import reach

_CUT = (ClientError, OSError, TimeoutError)
# Seconds. An engine tells at once what it begins with, but a step may be at work for long without a word.
_FIRST_WORD, _NEXT_WORD = 180.0, 3600.0


class Step(Struct, frozen=True, omit_defaults=True):
    """What the engine is doing. `part`: the layer that it is about; `done` of `total` bytes, where it counts any."""

    doing: str
    part: str = ""
    done: int = 0
    total: int = 0


class Image(Struct, frozen=True):
    """An image that is there: its `name`, its `id` (`sha256:...`) and its size in bytes."""

    image: str
    id: str
    size: int


async def build(host: str, name: str, dockerfile: bytes, tell: Callable[[Step], None]) -> Image:
    """Build an image from a Dockerfile that needs no other file. `host`: as of the settings.

    Raises Unavailable where there is no engine, BadInput for a bad name, and Permanent where a step fails.
    """
    async with await reach(host) as docker:
        steps = docker.images.build(
            fileobj=io.BytesIO(_context(dockerfile)), encoding="identity", tag=name, forcerm=True, stream=True
        )
        told = await _follow(steps, name, "built", tell)
        if not told:
            raise Unavailable(f"The engine went away while it built {name}. Run the command again.")
        return await _there(docker, name)


async def pull(host: str, name: str, tell: Callable[[Step], None]) -> Image:
    """Fetch an image from its registry. Raises as `build` does."""
    async with await reach(host) as docker:
        await _follow(docker.images.pull(name, stream=True), name, "pulled", tell)
        return await _there(docker, name)


async def _follow(steps: AsyncIterator[dict[str, Any]], name: str, done: str, tell: Callable[[Step], None]) -> bool:
    """Tell every step. Whether the engine said that an image came of it, which only a build's does."""
    finished = False
    try:
        async for step in _words(steps, name):
            finished = finished or "ID" in (step.get("aux") or {})
            count: dict[str, int] = step.get("progressDetail") or {}
            for text in str(step.get("stream") or step.get("status") or "").splitlines():
                if text.strip():
                    part = str(step.get("id") or "")
                    tell(Step(text.rstrip(), part, count.get("current", 0), count.get("total", 0)))
    except aiodocker.DockerError as problem:
        if "invalid reference" in problem.message and not isinstance(problem, DockerStreamError):
            raise BadInput(
                f"'{name}' is no name of an image ({problem.message}). Give one such as python:3.12-slim."
            ) from problem
        raise Permanent(
            f"{name} could not be {done}: {problem.message}. Mend that and run the command again."
        ) from problem
    except ValueError as problem:  # Podman's answer to a bad name isn't JSON, though it says so
        raise BadInput(
            f"The engine refuses {name} without a word. Give an image's name such as python:3.12-slim, and a Dockerfile."
        ) from problem
    except _CUT as problem:
        raise Unavailable(f"The engine went away: {problem}. Run the command again.") from problem
    return finished


async def _words(steps: AsyncIterator[dict[str, Any]], name: str) -> AsyncIterator[dict[str, Any]]:
    """The same, as long as the engine says something. Raises Unavailable."""
    patience = _FIRST_WORD
    while True:
        try:
            async with asyncio.timeout(patience):
                step = await anext(steps)
        except StopAsyncIteration:
            return
        except TimeoutError as problem:
            raise Unavailable(
                f"The engine has said nothing of {name} for {patience:.0f} s. Look into its log, start it again, and run the "
                "command again."
            ) from problem
        yield step
        patience = _NEXT_WORD


async def _there(docker: aiodocker.Docker, name: str) -> Image:
    try:
        found = await docker.images.inspect(name)
    except aiodocker.DockerError as problem:
        raise Unavailable(f"The image {name} did not come ({problem.message}). Run the command again.") from problem
    return Image(name, found["Id"], found["Size"])


def _context(dockerfile: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile))
    return made.getvalue()
