"""A courier at work for a test, and waiting for what comes of it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agenthost.outposts.channel.book import Book
from agenthost.outposts.channel.courier import Courier
from agenthost.outposts.channel.doorman import Doorman
from agenthost.outposts.channel.port import Channel
from agenthost.outposts.channel.ways import Ways
from agenthost.testing.channels import MemoryPost
from tests.outposts.services import book_at

WAYS = Ways(refusal="Who are you, {id}?", album=0.1, away=0.0)


@asynccontextmanager
async def carried(
    channel: Channel,
    post: MemoryPost,
    folder: Path,
    ways: Ways = WAYS,
    allow: tuple[str | int, ...] = ("*",),
    **own: Any,
) -> AsyncGenerator[Book]:
    """A courier runs while this is open, and is ended in the midst of what it does."""
    book = await book_at(folder).open()
    try:
        async with asyncio.TaskGroup() as group:
            posts = {"": post} | {key: value[1] for key, value in own.items()}
            doorman = Doorman(allow, {value[0]: key for key, value in own.items()})
            running = group.create_task(Courier(channel, posts, book, doorman, ways).run())
            try:
                yield book
            finally:
                running.cancel()
    finally:
        await book.close()


async def until(true: Callable[[], Any]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)
