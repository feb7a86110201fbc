"""Containers that are there, and how they come to an end."""

import asyncio
import json
from datetime import datetime
from typing import Any

import aiodocker
from aiodocker.containers import DockerContainer
from aiodocker.events import DockerEvents
from aiohttp import ClientError

PROBLEMS = (aiodocker.DockerError, ClientError, OSError, TimeoutError)
"""What an engine, and the way to it, may raise."""

_TRIES, _AGAIN = 40, 0.05
# How long ago an end for want of memory counts as the reason of a container's own, in seconds.
_RECENT, _EVENTS_WITHIN = 10.0, 5.0


def said(problem: BaseException) -> str:
    """An engine's words."""
    return problem.message if isinstance(problem, aiodocker.DockerError) else str(problem) or type(problem).__name__


async def about(docker: aiodocker.Docker) -> dict[str, Any]:
    """What an engine tells of itself (`GET /info`)."""
    return dict(await docker.system.info())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - aiodocker leaves it untyped


async def labelled(docker: aiodocker.Docker, label: str, value: str) -> list[tuple[DockerContainer, dict[str, str]]]:
    """The containers with a label, running or not, and all their labels."""
    filters = json.dumps({"label": [f"{label}={value}"]})
    found = await docker.containers.list(all="true", filters=filters)  # pyright: ignore[reportUnknownMemberType] - as above
    return [(container, container["Labels"] or {}) for container in found]


async def why_it_ended(container: DockerContainer) -> str:
    """`memory` where the kernel ended something in it for want of memory just now."""
    try:
        state = (await container.show())["State"]  # pyright: ignore[reportUnknownMemberType] - as above
        if state.get("OOMKilled"):
            return "memory"
        if state.get("Running"):
            return ""
    except aiodocker.DockerError:
        pass  # removed already, as it has ended
    except PROBLEMS:
        return ""
    try:
        async with asyncio.timeout(_EVENTS_WITHIN):
            return "memory" if await _short_of_memory(container) else ""
    except PROBLEMS:
        return ""


async def _short_of_memory(container: DockerContainer) -> bool:
    """Whether the engine remembers that it was."""
    docker = container.docker
    now = datetime.fromisoformat((await about(docker))["SystemTime"]).timestamp()
    filters = json.dumps({"container": [container.id], "event": ["oom"]})
    events = DockerEvents(docker)
    told = events.subscribe(create_task=False)  # pyright: ignore[reportUnknownMemberType] - as above
    await events.run(since=str(now - _RECENT), until=str(now), filters=filters)  # pyright: ignore[reportUnknownMemberType] - as above
    return await told.get() is not None


async def remove(container: DockerContainer) -> None:
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
