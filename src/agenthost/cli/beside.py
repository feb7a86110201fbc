"""What `agenthost up` runs in its own process because the settings say so: Telegram, through the same code as `telegram serve`, over the host's own socket."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agenthost.core.errors import AgentHostError, Temporary

if TYPE_CHECKING:
    from agenthost.host.host import Host

AGAIN = 30.0
"""Seconds after which what can't be reached is looked for again."""


@asynccontextmanager
async def beside(host: "Host", socket: Path, url: str) -> AsyncGenerator[None]:
    """Telegram goes on while this is open, where it is enabled. What fails there ends nothing of the host's."""
    if not host.settings.telegram.enabled:
        yield
        return
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_kept(host, socket, url), name="telegram")
        try:
            yield
        finally:
            running.cancel()


async def _kept(host: "Host", socket: Path, url: str) -> None:
    log = structlog.get_logger(__name__)
    while True:
        try:
            await _telegram(host, socket, url)
        except Temporary as error:
            log.warning("Telegram waits", problem=error.message)
            await asyncio.sleep(error.delay if error.delay is not None else AGAIN)
        except AgentHostError as error:
            log.error("Telegram isn't served; mend it and start the host again", problem=error.message)
            return
        except Exception:  # what runs beside the host must not end it
            log.exception("Telegram failed; it begins again")
            await asyncio.sleep(AGAIN)


async def _telegram(host: "Host", socket: Path, url: str) -> None:
    from agenthost.cli.telegram import loaded
    from agenthost.client import Address

    await loaded()
    from agenthost.outposts.telegram import serving

    settings = host.settings.telegram
    named = await _values(host, (settings.token_env, *settings.tokens.values()))
    token = serving.token_of(settings, named)
    here = Address(socket=socket)
    async with (
        serving.posts_of(settings, named, here, lambda key: Address(url=url, token=key)) as posts,
        serving.opened(serving.Part(settings, token, host.settings.folder, posts)) as ready,
    ):
        structlog.get_logger(__name__).info("Telegram is served", bot=ready.me.name)
        await ready.courier.run()


async def _values(host: "Host", names: tuple[str, ...]) -> Callable[[str], str]:
    """Variables, and where there is none the host's stored secrets."""
    kept = {name: os.environ.get(name) or await host.secret(name) for name in names}
    return lambda name: kept.get(name, "")
